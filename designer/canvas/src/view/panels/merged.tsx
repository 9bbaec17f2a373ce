import { useDesigner } from "../designer.ts";
import { Icon } from "../icon.tsx";
import { useStore } from "../use-store.ts";

/** What other people's saves brought into this drawing: always said, never silent. */
export function MergedNotice() {
  const designer = useDesigner();
  const { merged } = useStore(designer.sync);
  if (!merged.length) return null;
  const who = [...new Set(merged.map((part) => part.by))].join(" and ");
  const arrived = merged.flatMap((part) => part.arrived);
  const clashes = merged.flatMap((part) => part.clashes);
  return (
    <section className="merged raised" aria-label="Changes by others" role="status">
      <header>
        <Icon name="git-merge" size={14} />
        <strong>{who} changed this drawing while you did</strong>
        <button type="button" aria-label="Dismiss" onClick={() => designer.sync.seen()}>
          <Icon name="x" size={14} />
        </button>
      </header>
      <ul>
        {arrived.map(({ what, step }) => (
          <li key={`a:${what}`}>
            {step ? (
              <button type="button" className="link" onClick={() => designer.show(step)}>
                {what}
              </button>
            ) : (
              what
            )}
          </li>
        ))}
        {clashes.map(({ what, step, theirs }) => (
          <li key={`c:${what}`} className="clash">
            {step ? (
              <button type="button" className="link" onClick={() => designer.show(step)}>
                {what}
              </button>
            ) : (
              what
            )}{" "}
            by both of you; yours is kept.
            <details>
              <summary>Theirs</summary>
              <pre>{JSON.stringify(theirs ?? null, null, 2)}</pre>
            </details>
          </li>
        ))}
      </ul>
    </section>
  );
}
