import { LocationProvider, lazy, Route, Router, useLocation } from 'preact-iso';
import { useEffect, useRef } from 'preact/hooks';
import { utc } from './format';
import { heardAt, link } from './live/events';
import { Overview } from './pages/overview';
import { SignIn, SignInAgain } from './pages/sign_in';
import { TaskPage } from './pages/task';
import { Tasks } from './pages/tasks';
import { admitted, away, isOperator, known, session, signOut } from './session';
import { Loading, Page, Empty } from './ui/parts';
import { chooseTheme, theme } from './ui/theme';
import { Toasts } from './ui/toast';

const DeadLetters = lazy(() => import('./pages/dead_letters').then((m) => m.DeadLetters));
const Schedules = lazy(() => import('./pages/schedules').then((m) => m.Schedules));
const SchedulePage = lazy(() => import('./pages/schedule').then((m) => m.SchedulePage));
const Studies = lazy(() => import('./pages/studies').then((m) => m.Studies));
const StudyPage = lazy(() => import('./pages/study').then((m) => m.StudyPage));
const Data = lazy(() => import('./pages/data').then((m) => m.Data));
const SeriesPage = lazy(() => import('./pages/series').then((m) => m.SeriesPage));
const Operations = lazy(() => import('./pages/operations').then((m) => m.Operations));

const PAGES = [
  { path: '/', name: 'Overview', key: 'o' },
  { path: '/tasks', name: 'Tasks', key: 't' },
  { path: '/dead-letters', name: 'Dead letters', key: 'l' },
  { path: '/schedules', name: 'Schedules', key: 's' },
  { path: '/studies', name: 'Studies', key: 'u' },
  { path: '/data', name: 'Data', key: 'd' },
] as const;

/** Addresses that are pages of ours; others, such as /docs, are the service's own. */
const OURS = /^\/(?:$|(?:tasks|dead-letters|schedules|studies|data|operations)(?:\/|$))/;

export function App() {
  return (
    <LocationProvider scope={OURS}>
      <Shell />
      <Toasts />
    </LocationProvider>
  );
}

function Shell() {
  if (known.value === 'asking' && !isOperator.value) {
    return (
      <main class="gate">
        {away.value ? <p role="status">The service does not answer. This page tries again by itself.</p> : <Loading rows={3} />}
      </main>
    );
  }
  if (!admitted.value) return <SignIn />;
  return (
    <div class="shell">
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <Side />
      <main id="main" tabIndex={-1}>
        <Pages />
      </main>
      {known.value === 'expired' && <SignInAgain />}
    </div>
  );
}

function Pages() {
  const { path } = useLocation();
  const first = useRef(true);
  // A new page begins at its top, for the eye and for screen readers.
  useEffect(() => {
    if (first.current) {
      first.current = false;
      return;
    }
    scrollTo(0, 0);
    document.getElementById('main')?.focus({ preventScroll: true });
  }, [path]);
  if (session.value === undefined && known.value !== 'expired') return <OperatorPages />;
  return (
    <Router>
      <Route path="/" component={Overview} />
      <Route path="/tasks" component={Tasks} />
      <Route path="/tasks/:id" component={TaskPage} />
      <Route path="/dead-letters" component={DeadLetters} />
      <Route path="/schedules" component={Schedules} />
      <Route path="/schedules/:id" component={SchedulePage} />
      <Route path="/studies" component={Studies} />
      <Route path="/studies/:id" component={StudyPage} />
      <Route path="/data" component={Data} />
      <Route path="/data/:symbol/:interval" component={SeriesPage} />
      <Route path="/operations" component={Operations} />
      <Route default component={NoPage} />
    </Router>
  );
}

/** An operator without a session of a user sees what operators' calls show. */
function OperatorPages() {
  return (
    <Router>
      {[<Route key="operations" default component={Operations} />]}
    </Router>
  );
}

function NoPage() {
  return (
    <Page title="No such page">
      <Empty title="There is no page at this address.">
        <a href="/">Overview</a>
      </Empty>
    </Page>
  );
}

function Side() {
  const { path, route } = useLocation();
  const hasUser = session.value !== undefined || known.value === 'expired';
  useEffect(() => {
    let went = 0;
    const onKey = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      if (event.ctrlKey || event.metaKey || event.altKey || target.closest('input, textarea, select, dialog')) return;
      if (event.key === 'g') {
        went = Date.now();
        return;
      }
      if (event.key === '/') {
        const field = document.querySelector<HTMLInputElement>('[data-search]');
        if (field) {
          event.preventDefault();
          field.focus();
        }
        return;
      }
      const page = Date.now() - went < 1200 ? PAGES.find((one) => one.key === event.key) : undefined;
      if (page) {
        went = 0;
        route(page.path);
      }
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, [route]);
  const isHere = (at: string) => (at === '/' ? path === '/' : path === at || path.startsWith(`${at}/`));
  return (
    <header class="side">
      <a class="brand" href="/">
        <img src="/icon.svg" alt="" width="24" height="24" />
        Candlemill
      </a>
      <nav aria-label="Pages">
        {hasUser &&
          PAGES.map((page) => (
            <a key={page.path} href={page.path} aria-current={isHere(page.path) ? 'page' : undefined} title={`g ${page.key}`}>
              {page.name}
            </a>
          ))}
        {isOperator.value && (
          <a href="/operations" aria-current={isHere('/operations') || !hasUser ? 'page' : undefined}>
            Operations
          </a>
        )}
      </nav>
      <div class="side-foot">
        <LinkState />
        <span class="who" title={session.value?.email}>
          <bdi>{session.value?.email ?? (isOperator.value ? 'operator' : '')}</bdi>
        </span>
        <div class="side-buttons">
          <a href="/docs" class="quiet small" rel="external">
            API
          </a>
          <button type="button" class="quiet small" onClick={() => chooseTheme(theme.value === 'dark' ? 'light' : 'dark')}>
            {theme.value === 'dark' ? 'Light' : 'Dark'}
          </button>
          <button type="button" class="quiet small" onClick={() => void signOut()}>
            Sign out
          </button>
        </div>
      </div>
    </header>
  );
}

const LINKS = { connecting: 'Connecting', live: 'Live', polling: 'Every 2 s', away: 'No connection' } as const;

/** Whether what is shown is of now; a page that was left open overnight says so. */
function LinkState() {
  if (session.value === undefined) return null;
  const state = link.value;
  const told = state === 'away' && heardAt.value > 0 ? `No connection since ${utc(heardAt.value).slice(11)}` : LINKS[state];
  return (
    <span class={`link ${state}`} role="status">
      {told}
    </span>
  );
}
