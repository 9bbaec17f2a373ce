import { useEffect } from "react";
import { Canvas } from "./canvas/canvas.tsx";
import { listenToClipboard } from "./clipboard.ts";
import { type Designer, DesignerContext } from "./designer.ts";
import { Dialogs } from "./dialogs/dialogs.tsx";
import { Inspector } from "./inspector/inspector.tsx";
import { listenToKeys } from "./keyboard.ts";
import { watchProblems } from "./live-problems.ts";
import { Header } from "./panels/header.tsx";
import { MergedNotice } from "./panels/merged.tsx";
import { Outline } from "./panels/outline.tsx";
import { Palette } from "./panels/palette.tsx";
import { Picker } from "./panels/picker.tsx";
import { Problems } from "./panels/problems.tsx";
import { ToastPlace } from "./panels/toast.tsx";
import { useChosen } from "./use-store.ts";

/** Saves when the page is left; asks before closing only while something is not on the server. */
function listenToLeaving(designer: Designer): () => void {
  const onHide = (): void => designer.sync.leave();
  const onUnload = (event: BeforeUnloadEvent): void => {
    designer.sync.leave();
    if (designer.sync.get().phase === "refused") event.preventDefault();
  };
  const onBlur = (): void => void designer.sync.flush();
  window.addEventListener("pagehide", onHide);
  window.addEventListener("beforeunload", onUnload);
  window.addEventListener("blur", onBlur);
  return () => {
    window.removeEventListener("pagehide", onHide);
    window.removeEventListener("beforeunload", onUnload);
    window.removeEventListener("blur", onBlur);
  };
}

export function EditApp({ designer }: { designer: Designer }) {
  const outline = useChosen(designer.screen, (screen) => screen.outline);
  const readOnly = designer.editor.readOnly;
  useEffect(() => {
    const stops = [
      listenToKeys(designer),
      listenToClipboard(designer),
      listenToLeaving(designer),
      watchProblems(designer),
    ];
    return () => {
      for (const stop of stops) stop();
    };
  }, [designer]);
  return (
    <DesignerContext.Provider value={designer}>
      <div className={`island editor ${readOnly ? "is-read-only" : ""}`}>
        <Header />
        {!readOnly && <Palette />}
        <section className="stage" aria-label="Drawing">
          {outline ? <Outline /> : <Canvas />}
          <Problems />
          <MergedNotice />
        </section>
        <Inspector />
        <Picker />
        <Dialogs />
        <ToastPlace />
      </div>
    </DesignerContext.Provider>
  );
}
