// A classic script, because browsers load those from file: and refuse the modules that the page consists of.
if (location.protocol === 'file:') {
  addEventListener('DOMContentLoaded', () => {
    const text = document.createElement('p');
    text.className = 'file-url';
    text.append(
      'This page cannot run from a file: browsers load JavaScript modules and WebAssembly only over HTTP. Serve its folder, for example with ',
      Object.assign(document.createElement('code'), { textContent: 'npx serve' }),
      ' or ',
      Object.assign(document.createElement('code'), { textContent: 'python3 -m http.server' }),
      ' in it, and open the address that the command prints.',
    );
    document.getElementById('app').append(text);
  });
}
