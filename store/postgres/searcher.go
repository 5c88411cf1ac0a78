package postgres

import (
	"context"
	"encoding/json"
	"strconv"

	"github.com/jackc/pgx/v5"

	"ticketgate/store"
)

// searcher implements store.Searcher. Its statements are planned for the words
// that are looked for: how frequent they are decides how to find them.
type searcher struct{}

// frequent is how many times the limit is expected where a guess is enough. Of words
// that it has not counted the planner expects too many.
const frequent = 4

// Few asks the planner, which knows the frequent words, for a guess: to count the
// matches of one of those takes longer than to find the newest.
func (searcher) Few(ctx context.Context, s store.Session, expression string, limit int, guess bool, within string, args ...any) (store.Hits, error) {
	if guess {
		expected, err := expect(ctx, s, expression)
		if err != nil || expected > float64(frequent*limit) {
			return store.Hits{}, err
		}
	}
	if within != "" {
		within = ` AND ticket IN (` + within + `)`
	}
	args = append([]any{expression}, args...)
	args = append(args, limit+1)
	// Planned as if all were wanted: for a few rows of many the planner would read
	// the table from its beginning, and where there are none to its end.
	ids, err := column[string](ctx, s, `WITH hits AS MATERIALIZED (SELECT activity_id FROM search WHERE words @@ CAST($1::text AS tsquery)`+within+`)
		SELECT activity_id FROM hits LIMIT $`+strconv.Itoa(len(args)), args...)
	const those = ` FROM activities WHERE id = ANY(?)`
	return store.Hits{Few: len(ids) <= limit, Tickets: `SELECT ticket` + those, IDs: `SELECT id` + those, Args: []any{ids}}, err
}

// expect is how many activities match, as the planner sees it.
func expect(ctx context.Context, s store.Session, expression string) (float64, error) {
	var plan []struct {
		Plan struct {
			Rows float64 `json:"Plan Rows"`
		}
	}
	texts, err := column[string](ctx, s, `EXPLAIN (FORMAT JSON) SELECT FROM search WHERE words @@ CAST($1::text AS tsquery)`, expression)
	if err != nil || len(texts) == 0 {
		return 0, err
	}
	if err := json.Unmarshal([]byte(texts[0]), &plan); err != nil || len(plan) == 0 {
		return 0, err
	}
	return plan[0].Plan.Rows, nil
}

func (searcher) Tickets(ctx context.Context, s store.Session, expression string, of []int64) ([]int64, error) {
	return column[int64](ctx, s, `SELECT DISTINCT ticket FROM search WHERE ticket = ANY($2) AND words @@ CAST($1::text AS tsquery)`, expression, of)
}

func (searcher) Activities(ctx context.Context, s store.Session, expression string, of []store.Searched) ([]string, error) {
	ids := make([]string, len(of))
	for i, a := range of {
		ids[i] = a.ID
	}
	return column[string](ctx, s, `SELECT activity_id FROM search WHERE activity_id = ANY($2) AND words @@ CAST($1::text AS tsquery)`, expression, ids)
}

// column reads a column. The server keeps no plan of the statement.
func column[T any](ctx context.Context, s store.Session, sql string, args ...any) ([]T, error) {
	if err := s.Flush(ctx); err != nil { // what waits would go with it, and take the mode for an argument
		return nil, err
	}
	return store.ReadColumn[T](ctx, s, sql, append([]any{pgx.QueryExecModeExec}, args...)...)
}
