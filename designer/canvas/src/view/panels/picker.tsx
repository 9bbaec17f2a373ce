import { useEffect, useRef } from "react";
import { found } from "../../core/search.ts";
import type { StepKind } from "../../core/types.ts";
import { useDesigner } from "../designer.ts";
import { Icon } from "../icon.tsx";
import { addOfKind } from "../steps.ts";
import { useChosen } from "../use-store.ts";
import { SearchList } from "./listbox.tsx";
import { GROUPS, kindTexts } from "./palette.tsx";

const WIDTH = 300;
const HEIGHT = 380;

const inside = (wanted: number, size: number, room: number): number =>
  Math.max(8, Math.min(wanted, room - size - 8));

const byGroup = (kinds: StepKind[]): StepKind[] =>
  GROUPS.flatMap(({ group }) => kinds.filter((kind) => kind.group === group));

/** The step picker at the pointer: Tab, "+" and a connection let go in the open all lead here. */
export function Picker() {
  const designer = useDesigner();
  const request = useChosen(designer.screen, (screen) => screen.picker);
  const box = useRef<HTMLDivElement>(null);
  const close = (): void => designer.screen.update({ picker: null });
  useEffect(() => {
    if (!request) return;
    const onDown = (event: PointerEvent): void => {
      if (!box.current?.contains(event.target as globalThis.Node)) designer.screen.update({ picker: null });
    };
    window.addEventListener("pointerdown", onDown);
    return () => window.removeEventListener("pointerdown", onDown);
  }, [request, designer]);
  if (!request) return null;
  const [x, y] = request.screen;
  const parent = request.parent ? designer.frames.nesting.step(request.parent) : undefined;
  const title = parent ? `Which step inside ${parent.name || parent.key}?` : "Which step?";
  const cancel = (): void => {
    close();
    const [id] = designer.editor.get().selected;
    if (id) designer.canvas?.focus(id);
  };
  return (
    <div
      className="picker raised"
      ref={box}
      role="dialog"
      aria-label="Add a step"
      style={{ left: inside(x, WIDTH, window.innerWidth), top: inside(y, HEIGHT, window.innerHeight) }}
    >
      <SearchList<StepKind>
        label={title}
        placeholder={title}
        empty="No step kind matches."
        items={(query) =>
          query ? found(designer.catalogue.kinds, query, kindTexts) : byGroup(designer.catalogue.kinds)
        }
        idOf={(kind) => kind.kind}
        row={(kind) => (
          <>
            <span className={`step-icon step-${kind.group}`}>
              <Icon name={kind.icon} size={14} />
            </span>
            <span className="row-words">
              <span>{kind.name}</span>
              <small>{kind.description}</small>
            </span>
          </>
        )}
        onPick={(kind) => {
          close();
          addOfKind(designer, kind, request.place, request.wire, request.parent ?? null);
        }}
        onCancel={cancel}
      />
    </div>
  );
}
