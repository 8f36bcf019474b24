import { registerBackends } from '@softgrad/bench/backends';
import { render } from 'preact';
import { App } from './app.js';
import './styles/page.css';

registerBackends();
const root = document.getElementById('app');
if (root) render(<App />, root);
