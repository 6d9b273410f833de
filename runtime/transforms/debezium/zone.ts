/** Offsets of time zones from UTC, in seconds, as java.time's ZoneRules gives them. */
export interface Zone {
  /** At an instant, milliseconds since the epoch. */
  offset(millis: number): number;
  /** At a time on the clock there, given as if it were UTC. In an overlap, and in a gap, the offset before the change. */
  localOffset(clockMillis: number): number;
}

const DAY_MS = 86_400_000;

/** By name or as `+hh:mm[:ss]`; undefined for what is no zone. */
export function openZone(name: string): Zone | undefined {
  const fixed = /^([+-])(\d{2}):(\d{2})(?::(\d{2}))?$/.exec(name);
  if (fixed !== null) {
    const seconds = (fixed[1] === '-' ? -1 : 1) * (Number(fixed[2]) * 3600 + Number(fixed[3]) * 60 + Number(fixed[4] ?? 0));
    return { offset: () => seconds, localOffset: () => seconds };
  }
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-US', { timeZone: name, hourCycle: 'h23', era: 'short', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric' });
  } catch { return undefined; }
  const offset = (millis: number): number => {
    const parts = new Map(format.formatToParts(millis).map(({ type, value }) => [type, value]));
    const part = (type: Intl.DateTimeFormatPartTypes): number => Number(parts.get(type) ?? 0);
    const clock = new Date(0);
    clock.setUTCFullYear(parts.get('era') === 'BC' ? 1 - part('year') : part('year'), part('month') - 1, part('day'));
    clock.setUTCHours(part('hour'), part('minute'), part('second'));
    return Math.round((clock.getTime() - Math.floor(millis / 1000) * 1000) / 1000);
  };
  return {
    offset,
    localOffset: clock => {
      const before = offset(clock - DAY_MS), after = offset(clock + DAY_MS);
      if (before === after) return before;
      return offset(clock - before * 1000) === before || offset(clock - after * 1000) !== after ? before : after;
    },
  };
}
