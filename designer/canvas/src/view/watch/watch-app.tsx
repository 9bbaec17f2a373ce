import { useEffect, useMemo, useState } from "react";
import type { Api } from "../../api/http.ts";
import { type Link, RunSocket } from "../../api/socket.ts";
import { runSteps } from "../../api/workflow.ts";
import { type PageConfig, socketUrl } from "../../config.ts";
import { FINAL_RUN } from "../../core/run.ts";
import { StatusStore } from "../../core/status.ts";
import { type Catalogue, normalise } from "../../core/types.ts";
import { Icon } from "../icon.tsx";
import { Announcer } from "./announcer.tsx";
import { StatusContext } from "./status-context.ts";
import { WatchCanvas } from "./watch-canvas.tsx";

interface Props {
  config: PageConfig;
  api: Api;
  catalogue: Catalogue;
}

/** Keeps the status store fed: a snapshot first, then every change after it. */
function useRun({ config, api }: Props, status: StatusStore) {
  const [link, setLink] = useState<Link>("connecting");
  const [state, setState] = useState("");
  useEffect(() => {
    const { run } = config;
    if (!run) return;
    const tell = (next: string): void => {
      setState(next);
      document.dispatchEvent(new CustomEvent("branchline:run", { detail: { run, state: next } }));
    };
    const socket = new RunSocket(socketUrl(config.socket), run, {
      onLink: setLink,
      onFrame: (frame) => {
        status.apply(frame.changes, frame.tallies);
        if (frame.state) tell(frame.state);
      },
      snapshot: async () => {
        const answer = await runSteps(api, run);
        status.reset(answer.steps, answer.tallies);
        tell(answer.run.state);
        return answer.seq;
      },
    });
    void socket.open();
    return () => socket.close();
  }, [config, api, status]);
  return { link, state };
}

function LinkState({ link, ended }: { link: Link; ended: boolean }) {
  if (link === "open" || (ended && link === "connecting")) {
    return ended ? null : (
      <span className="link-state is-open">
        <span className="live-dot" /> Live
      </span>
    );
  }
  return (
    <span className="link-state is-lost" role="status">
      <Icon name="wifi-off" size={14} />
      {link === "lost" ? "Connection lost. Reconnecting; nothing is missed." : "Connecting…"}
    </span>
  );
}

export function WatchApp(props: Props) {
  const status = useMemo(() => new StatusStore(), []);
  const doc = useMemo(() => normalise(props.config.document ?? {}), [props.config]);
  const kindOf = useMemo(() => {
    const kinds = new Map(props.catalogue.kinds.map((kind) => [kind.kind, kind]));
    return (kind: string) => kinds.get(kind);
  }, [props.catalogue]);
  const { link, state } = useRun(props, status);
  return (
    <StatusContext.Provider value={status}>
      <div className="island watch">
        <WatchCanvas doc={doc} kindOf={kindOf} />
        <LinkState link={link} ended={FINAL_RUN.has(state)} />
        <Announcer doc={doc} state={state} />
      </div>
    </StatusContext.Provider>
  );
}
