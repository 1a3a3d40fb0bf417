import { createRoot } from 'react-dom/client';
import 'graphiql/setup-workers/vite';
import 'graphiql/style.css';

import { Explorer } from './explorer';
import { firstHeaders } from './credentials';
import './page.css';

const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no element with the id "root".');

const headers = await firstHeaders();
createRoot(root).render(<Explorer address={new URL(location.pathname, location.href)} headers={headers} />);
