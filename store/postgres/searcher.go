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
	var ids []string
	// Planned as if all were wanted: for a few rows of many the planner would read
	// the table from its beginning, and where there are none to its end.
	err := each(ctx, s, func(r store.Rows) error {
		var id string
		err := r.Scan(&id)
		ids = append(ids, id)
		return err
	}, `WITH hits AS MATERIALIZED (SELECT activity_id FROM search WHERE words @@ CAST($1::text AS tsquery)`+within+`)
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
	err := each(ctx, s, func(r store.Rows) error {
		var text string
		if err := r.Scan(&text); err != nil {
			return err
		}
		return json.Unmarshal([]byte(text), &plan)
	}, `EXPLAIN (FORMAT JSON) SELECT FROM search WHERE words @@ CAST($1::text AS tsquery)`, expression)
	if err != nil || len(plan) == 0 {
		return 0, err
	}
	return plan[0].Plan.Rows, nil
}

func (searcher) Tickets(ctx context.Context, s store.Session, expression string, of []int64) ([]int64, error) {
	var found []int64
	err := each(ctx, s, func(r store.Rows) error {
		var ticket int64
		err := r.Scan(&ticket)
		found = append(found, ticket)
		return err
	}, `SELECT DISTINCT ticket FROM search WHERE ticket = ANY($2) AND words @@ CAST($1::text AS tsquery)`, expression, of)
	return found, err
}

func (searcher) Activities(ctx context.Context, s store.Session, expression string, of []store.Searched) ([]string, error) {
	ids, tickets := make([]string, len(of)), make([]int64, len(of))
	for i, a := range of {
		ids[i], tickets[i] = a.ID, a.Ticket
	}
	var found []string
	err := each(ctx, s, func(r store.Rows) error {
		var id string
		err := r.Scan(&id)
		found = append(found, id)
		return err
	}, `SELECT activity_id FROM search JOIN unnest($2::bigint[], $3::text[]) AS one (t, a) ON activity_id = one.a AND ticket = one.t
		WHERE words @@ CAST($1::text AS tsquery)`, expression, tickets, ids)
	return found, err
}

// each calls scan for each row. The server keeps no plan of the statement.
func each(ctx context.Context, s store.Session, scan func(store.Rows) error, sql string, args ...any) error {
	if err := s.Flush(ctx); err != nil { // what waits would go with it, and take the mode for an argument
		return err
	}
	rows, err := s.Query(ctx, sql, append([]any{pgx.QueryExecModeExec}, args...)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
