/** `meta/v1 MicroTime`: six digits of fractions. */
export const microTime = (time: Date): string => time.toISOString().replace('Z', '000Z');
