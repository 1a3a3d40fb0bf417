import { GraphiQL } from 'graphiql';
import { useEffect, useMemo, useState } from 'react';

import icon from './icon.svg';
import { parseHeaders } from './credentials';
import { examples } from './examples';
import { createFetcher } from './fetcher';
import { storage } from './storage';

/** How long somebody has not typed in the headers tab before the documentation is asked for with the new key. */
const PAUSE_MS = 600;

/** The history keeps the headers of every request in the browser, keys among them, and has no setting against it. */
const NO_HISTORY: never[] = [];

interface ExplorerProps {
  address: URL;
  /** What the headers tab holds at first, as JSON. */
  headers: string;
}

export function Explorer({ address, headers }: ExplorerProps) {
  const [typed, setTyped] = useState(headers);
  const settled = useSettled(typed);
  // GraphiQL reads the schema again when it is given another fetcher: a key typed into the headers tab opens the docs.
  const fetcher = useMemo(() => createFetcher(address, parseHeaders(settled)), [address, settled]);
  const tabs = useMemo(() => examples(headers), [headers]);
  return (
    <GraphiQL
      fetcher={fetcher}
      storage={storage}
      defaultTabs={tabs}
      defaultHeaders={headers}
      defaultEditorToolsVisibility="headers"
      shouldPersistHeaders={false}
      plugins={NO_HISTORY}
      onEditHeaders={setTyped}
      schemaDescription
    >
      <GraphiQL.Logo>
        <span className="brand">
          <img src={icon} alt="" width="22" height="22" />
          Switchboard
        </span>
      </GraphiQL.Logo>
    </GraphiQL>
  );
}

function useSettled(value: string): string {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [value]);
  return settled;
}
