/**
 * A type of `@kubernetes/client-node` as the plain data that goes over the wire, unchanged by our client: no instance of a
 * class, and times are RFC 3339 strings, not `Date`.
 */
export type Wire<T> = T extends Date
  ? string
  : T extends readonly (infer Item)[]
    ? Wire<Item>[]
    : T extends object
      ? { [Key in keyof T]: Wire<T[Key]> }
      : T;
