/** Nanoseconds since the epoch, as fine as the clock gives them (microseconds). */
export function nowNs(): bigint { return BigInt(Math.floor((performance.timeOrigin + performance.now()) * 1000)) * 1000n; }
