import { useState } from 'preact/hooks';
import { ApiError, told } from '../api/problem';
import { session, signIn, signOut, useOperatorToken, useToken } from '../session';
import { Dialog } from '../ui/dialog';
import { Field } from '../ui/parts';

type Way = 'password' | 'token' | 'operator';
const WAYS: readonly { way: Way; name: string }[] = [
  { way: 'password', name: 'Password' },
  { way: 'token', name: 'Token' },
  { way: 'operator', name: 'Operator' },
];

export function SignIn() {
  return (
    <main class="gate">
      <div class="gate-card">
        <div class="brand">
          <img src="/icon.svg" alt="" width="28" height="28" />
          Candlemill
        </div>
        <h1>Sign in</h1>
        <SignInForm ways={WAYS} />
      </div>
    </main>
  );
}

/** Over the page whose session has ended: the page, and what was typed into it, stay. */
export function SignInAgain() {
  return (
    <Dialog title="Your session has ended" onClose={() => undefined} closable={false}>
      <p class="dialog-text">Sign in again to go on. Nothing that you typed is lost.</p>
      <SignInForm ways={WAYS.slice(0, 2)} email={session.value?.email ?? ''} />
      <p class="dialog-text small">
        <button type="button" class="quiet small" onClick={() => void signOut()}>
          Sign out instead
        </button>
      </p>
    </Dialog>
  );
}

function SignInForm({ ways, email: known = '' }: { ways: typeof WAYS; email?: string }) {
  const [way, setWay] = useState<Way>('password');
  const [email, setEmail] = useState(known.includes('@') ? known : '');
  const [secret, setSecret] = useState('');
  const [error, setError] = useState<string>();
  const [busy, setBusy] = useState(false);

  const submit = async () => {
    setBusy(true);
    setError(undefined);
    try {
      if (way === 'password') await signIn(email.trim(), secret);
      else if (way === 'token') await useToken(secret);
      else await useOperatorToken(secret);
      setSecret('');
    } catch (caught) {
      setError(told(caught));
      if (caught instanceof ApiError && caught.status === 401 && way === 'password') setSecret('');
    }
    setBusy(false);
  };

  return (
    <form
      class="sign-in"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <div class="tabs" role="group" aria-label="Way to sign in">
        {ways.map((one) => (
          <button
            key={one.way}
            type="button"
            aria-pressed={way === one.way}
            onClick={() => {
              setWay(one.way);
              setSecret('');
              setError(undefined);
            }}
          >
            {one.name}
          </button>
        ))}
      </div>
      {way === 'password' && (
        <>
          <Field label="E-mail">
            {(attributes) => (
              <input
                {...attributes}
                type="email"
                autocomplete="username"
                required
                value={email}
                onInput={(event) => setEmail(event.currentTarget.value)}
              />
            )}
          </Field>
          <Field label="Password">
            {(attributes) => (
              <input
                {...attributes}
                type="password"
                autocomplete="current-password"
                required
                value={secret}
                onInput={(event) => setSecret(event.currentTarget.value)}
              />
            )}
          </Field>
        </>
      )}
      {way === 'token' && (
        <Field
          label="Access token"
          hint="Of a Supabase session: for accounts with single sign-on, a magic link, a captcha or a second factor. It is not kept, and not renewed."
        >
          {(attributes) => (
            <textarea {...attributes} rows={4} required spellcheck={false} value={secret} onInput={(event) => setSecret(event.currentTarget.value)} />
          )}
        </Field>
      )}
      {way === 'operator' && (
        <Field label="Operators' token" hint="The API's ADMIN_TOKEN. It stays in this tab's memory and is gone after a reload.">
          {(attributes) => (
            <input {...attributes} type="password" autocomplete="off" required value={secret} onInput={(event) => setSecret(event.currentTarget.value)} />
          )}
        </Field>
      )}
      {error && (
        <p class="form-error" role="alert">
          {error}
        </p>
      )}
      <button type="submit" class="primary" disabled={busy}>
        {busy ? 'Asking…' : 'Sign in'}
      </button>
    </form>
  );
}
