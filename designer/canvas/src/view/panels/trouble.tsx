import { Icon } from "../icon.tsx";

/** The draft could not be opened: what happened, and one way on. */
export function Trouble({ message, onRetry }: { message: string; onRetry(): void }) {
  return (
    <div className="island trouble" role="alert">
      <Icon name="wifi-off" size={24} />
      <h2>The drawing could not be opened</h2>
      <p>{message}</p>
      <button type="button" className="button primary" onClick={onRetry}>
        Try again
      </button>
    </div>
  );
}
