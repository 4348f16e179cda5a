/** What a running server says of the replication group, and of its own part in it. */

export const memberStates = ['ONLINE', 'RECOVERING', 'OFFLINE', 'ERROR', 'UNREACHABLE'] as const;
export type MemberState = (typeof memberStates)[number];

export interface SeenMember {
  /** Beginning of its server_uuid: of which life of which instance's data it is. */
  readonly incarnation: string;
  readonly state: MemberState;
  readonly primary: boolean;
}

export interface Sight {
  /** Of the server itself. */
  readonly state: MemberState;
  /** Of the group that it was last told to join; 0: none. */
  readonly number: number;
  /** Counts the changes of membership. */
  readonly view: number;
  /** As it sees them, itself among them. */
  readonly members: readonly SeenMember[];
  /** The server takes writes, from whoever gets in. */
  readonly writable: boolean;
  /** Clients get in. */
  readonly open: boolean;
  /** Executed, or received from the group and waiting to be. */
  readonly gtids: string;
  /** All of it is executed. */
  readonly applied: boolean;
}

/** Whether it is in touch with a majority of the group, as far as it has noticed: that takes about five seconds. */
export const hasMajority = ({ members }: Pick<Sight, 'members'>): boolean =>
  2 * members.filter(({ state }) => state === 'ONLINE' || state === 'RECOVERING').length > members.length;

export const isIn = ({ state }: Pick<Sight, 'state'>): boolean => state === 'ONLINE' || state === 'RECOVERING';

/** The group goes on, and this server in it. */
export const takesPart = (sight: Sight): boolean => isIn(sight) && hasMajority(sight);

/** Members that are up to date, as it sees them. */
export const onlineIn = ({ members }: Pick<Sight, 'members'>): readonly SeenMember[] =>
  members.filter(({ state }) => state === 'ONLINE');
