import { useEffect } from "react";
import { useDesigner } from "../designer.ts";
import { Icon } from "../icon.tsx";
import { useChosen } from "../use-store.ts";

const STAYS = 6_000;
const ICONS = { info: "info", refused: "ban", done: "check" } as const;

/** One short sentence about what just happened, or why it did not; also spoken. */
export function ToastPlace() {
  const designer = useDesigner();
  const toast = useChosen(designer.screen, (screen) => screen.toast);
  useEffect(() => {
    if (!toast) return;
    const timer = setTimeout(() => designer.screen.update({ toast: null }), STAYS);
    return () => clearTimeout(timer);
  }, [toast, designer]);
  return (
    <div className="toast-place" role="status" aria-live="polite">
      {toast && (
        <div className={`toast raised is-${toast.tone}`}>
          <Icon name={ICONS[toast.tone]} size={14} />
          <span>{toast.text}</span>
          <button type="button" aria-label="Dismiss" onClick={() => designer.screen.update({ toast: null })}>
            <Icon name="x" size={14} />
          </button>
        </div>
      )}
    </div>
  );
}
