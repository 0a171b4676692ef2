import { render } from 'preact';
import { App } from './app';
import { resume } from './session';
import './style.css';

void resume();
const root = document.getElementById('app');
if (root !== null) render(<App />, root);
