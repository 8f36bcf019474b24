export function Doctor(_: { readonly parameters: URLSearchParams }) {
  return <p>soon</p>;
}
