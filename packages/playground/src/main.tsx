import { render } from 'preact';
import { registerBackends } from 'softgrad/backends';
import { App } from './app.js';
import './styles/page.css';

registerBackends();
const root = document.getElementById('app');
if (root) render(<App />, root);
