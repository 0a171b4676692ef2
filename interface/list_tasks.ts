// What a page of TypeScript does with the generated types: lists tasks and looks into one. `tsc --strict` must accept it.
import createClient from "openapi-fetch";
import type { components, paths } from "./build/candlemill.js";

const client = createClient<paths>({ baseUrl: "http://127.0.0.1:8080", headers: { Authorization: "Bearer token" } });

type Task = components["schemas"]["TaskView"];

function describe(task: Task): string {
  const error = task.error ? `: ${task.error.code}` : "";
  return `${task.task_id} ${task.kind} ${task.state}, attempt ${task.attempt}${error}`;
}

export async function list(): Promise<string[]> {
  const { data, error } = await client.GET("/api/tasks", { params: { query: { state: "running", limit: 10 } } });
  if (error) {
    throw new Error(`${error.code}: ${error.detail ?? error.title}`);
  }
  return data.tasks.map(describe);
}

export async function submit(): Promise<string> {
  const { data, error } = await client.POST("/api/market-data/fetch", {
    body: { symbol: "BTCUSDT", interval: "1m", start: "2020-01-01T00:00:00Z" },
  });
  if (error) {
    throw new Error((error.errors ?? []).map((one) => `${one.field} ${one.message}`).join("; "));
  }
  return data.task_id;
}

export async function progress(id: string): Promise<number> {
  const { data } = await client.GET("/api/task/{id}/progress", { params: { path: { id } } });
  return data?.percent ?? 0;
}
