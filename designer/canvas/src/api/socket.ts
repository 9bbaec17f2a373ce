/** A run's changes over the workspace socket: resumes by sequence number, reconnects with jitter, misses nothing. */
import type { StepRunView, Tally } from "../core/run.ts";

export interface RunFrame {
  run: string;
  seq: number;
  changes: StepRunView[];
  tallies?: Tally[];
  state?: string;
  error?: { code: string; message: string; step?: string | null } | null;
}

export type Link = "connecting" | "open" | "lost";

export interface Watching {
  onFrame(frame: RunFrame): void;
  onLink(link: Link): void;
  /** Asked after a refusal or a long absence: read the whole state again, answer its sequence number. */
  snapshot(): Promise<number>;
}

interface Incoming extends Partial<RunFrame> {
  error?: { code: string; message: string } | null;
}

const FIRST_WAIT = 400;
const LONGEST_WAIT = 15_000;

/** Full jitter: many browsers that lost one server do not come back in one wave. */
export const waitBefore = (attempt: number, random: () => number = Math.random): number =>
  random() * Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** attempt) + 100;

export class RunSocket {
  #socket: WebSocket | null = null;
  #seq = 0;
  #attempt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  readonly #url: string;
  readonly #run: string;
  readonly #watching: Watching;

  constructor(url: string, run: string, watching: Watching) {
    this.#url = url;
    this.#run = run;
    this.#watching = watching;
  }

  async open(): Promise<void> {
    try {
      this.#seq = await this.#watching.snapshot();
    } catch {
      this.#lost();
      return;
    }
    this.#connect();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#socket?.close();
  }

  #connect(): void {
    if (this.#closed) return;
    // While it tries again the connection stays lost: a server that is away may keep a try waiting for minutes.
    if (this.#attempt === 0) this.#watching.onLink("connecting");
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    socket.onopen = () => {
      this.#attempt = 0;
      this.#watching.onLink("open");
      socket.send(JSON.stringify({ watch: "run", id: this.#run, after: this.#seq }));
    };
    socket.onmessage = (event: MessageEvent<string>) => this.#take(JSON.parse(event.data) as Incoming);
    socket.onclose = () => this.#lost();
  }

  #take(frame: Incoming): void {
    if (frame.run === this.#run && frame.changes) {
      this.#seq = Math.max(this.#seq, frame.seq ?? 0);
      this.#watching.onFrame(frame as RunFrame);
    }
  }

  #lost(): void {
    if (this.#closed) return;
    this.#watching.onLink("lost");
    const wait = waitBefore(this.#attempt);
    this.#attempt += 1;
    this.#timer = setTimeout(() => (this.#seq ? this.#connect() : void this.open()), wait);
  }
}
