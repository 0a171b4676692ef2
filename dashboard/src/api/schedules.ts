/** Schedules, as their calls answer. */
export interface Fire {
  due_at: string;
  local?: string;
  moved_by_daylight_saving?: boolean;
}

export type When = { cron: string; time_zone?: string } | { every: string; anchor?: string };

export interface Schedule {
  schedule_id: string;
  name: string;
  note?: string | null;
  state: 'active' | 'paused' | 'ended' | 'suspended' | 'unconfirmed';
  paused_by?: string | null;
  when: When;
  words: string;
  time_zone_data?: string;
  template: Record<string, unknown>;
  misfire: string;
  overlap: string;
  next_fires: Fire[];
  last_fire?: PastFire | null;
  failed_in_a_row: number;
  valid_until?: string | null;
  created_at: string;
  updated_at: string;
}

export interface PastFire {
  due_at: string;
  fire_at?: string;
  state: string;
  task_id?: string | null;
  why?: { code: string; detail: string } | null;
  manual?: boolean;
}

export interface ScheduleList {
  schedules: Schedule[];
  next_cursor?: string | null;
}

export interface FireList {
  fires: PastFire[];
  next_cursor?: string | null;
}

export interface Preview {
  words: string;
  next_fires: Fire[];
}
