import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { StepRunView } from "../core/run.ts";
import { type Link, RunSocket, waitBefore } from "./socket.ts";

class FakeSocket {
  static all: FakeSocket[] = [];
  sent: string[] = [];
  onopen: (() => void) | null = null;
  onclose: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  constructor(readonly url: string) {
    FakeSocket.all.push(this);
  }
  send(text: string): void {
    this.sent.push(text);
  }
  close(): void {
    this.onclose?.();
  }
  says(frame: unknown): void {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }
}

const latest = (): FakeSocket => {
  const socket = FakeSocket.all.at(-1);
  if (!socket) throw new Error("No socket was opened.");
  return socket;
};

beforeEach(() => {
  vi.useFakeTimers();
  FakeSocket.all = [];
  vi.stubGlobal("WebSocket", FakeSocket);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

async function watching(snapshot = vi.fn(async () => 5)) {
  const links: Link[] = [];
  const keys: string[] = [];
  const socket = new RunSocket("ws://x/", "r1", {
    snapshot,
    onLink: (link) => void links.push(link),
    onFrame: (frame) => void keys.push(...frame.changes.map((change) => change.key)),
  });
  await socket.open();
  return { socket, links, keys, snapshot };
}

const frame = (seq: number, key: string) => ({ run: "r1", seq, changes: [{ key } as StepRunView] });

describe("run socket", () => {
  it("watches from the snapshot on", async () => {
    await watching();
    latest().onopen?.();
    expect(JSON.parse(latest().sent[0] ?? "")).toEqual({ watch: "run", id: "r1", after: 5 });
  });

  it("says that the connection is lost, comes back by itself and asks for what it missed", async () => {
    const { links, keys } = await watching();
    latest().onopen?.();
    latest().says(frame(9, "charge"));
    latest().close();
    expect(links.at(-1)).toBe("lost");
    await vi.advanceTimersByTimeAsync(1_000);
    expect(FakeSocket.all).toHaveLength(2);
    expect(links).toEqual(["connecting", "open", "lost"]);
    latest().onopen?.();
    expect(JSON.parse(latest().sent[0] ?? "")).toMatchObject({ after: 9 });
    expect(keys).toEqual(["charge"]);
    expect(links.at(-1)).toBe("open");
  });

  it("ignores frames of other runs", async () => {
    const { keys } = await watching();
    latest().onopen?.();
    latest().says({ ...frame(9, "charge"), run: "other" });
    expect(keys).toEqual([]);
  });

  it("tries the snapshot again when it failed", async () => {
    const snapshot = vi.fn(async () => 5).mockRejectedValueOnce(new Error("503"));
    await watching(snapshot);
    expect(FakeSocket.all).toHaveLength(0);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(snapshot).toHaveBeenCalledTimes(2);
    expect(FakeSocket.all).toHaveLength(1);
  });

  it("stays closed once it was closed", async () => {
    const { socket } = await watching();
    socket.close();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(FakeSocket.all).toHaveLength(1);
  });

  it("waits longer after each failure, within a bound, spread by chance", () => {
    expect(waitBefore(0, () => 1)).toBe(500);
    expect(waitBefore(3, () => 1)).toBe(3_300);
    expect(waitBefore(50, () => 1)).toBe(15_100);
    expect(waitBefore(50, () => 0)).toBe(100);
  });
});
