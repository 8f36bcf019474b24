/** An error message next to its cause; nothing if there is no error. */
export function Problem({ text, id }: { readonly text: string | null; readonly id?: string }) {
  return (
    <div role="alert" id={id}>
      {text !== null && <p class="problem">{text}</p>}
    </div>
  );
}
