import '@backstage/ui/css/styles.css';
import './portal.css';
import ReactDOM from 'react-dom/client';
import { app } from './app';
import { keepChosenTabInView } from './tabs';

keepChosenTabInView();

ReactDOM.createRoot(document.getElementById('root')!).render(app.createRoot());
