/** What went wrong, where it went wrong; nothing where nothing did. */
export function Problem({ text, id }: { readonly text: string | null; readonly id?: string }) {
  return (
    <div role="alert" id={id}>
      {text !== null && <p class="problem">{text}</p>}
    </div>
  );
}
