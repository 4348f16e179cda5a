/** An object of Kubernetes as plain data, as it goes over the wire: not an instance of the client's class, times as RFC 3339. */
export type Manifest<T> = T extends Date
  ? string
  : T extends readonly (infer Item)[]
    ? Manifest<Item>[]
    : T extends object
      ? { [Key in keyof T]: Manifest<T[Key]> }
      : T;
