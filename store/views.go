package store

import "context"

// View is a filter of tickets that an agent gave a name.
type View struct {
	ID       string
	AgentID  string // who made it
	Shared   string // ViewNone or ViewAll
	Position int    // in the list of views
	ViewDetail
}

// ViewDetail is kept as one JSON document.
type ViewDetail struct {
	Name   string `json:"name"`
	Filter string `json:"filter"` // a JSON object: the names of the list's query
	Sort   string `json:"sort"`
}

// Whom a view is there for.
const (
	ViewNone = "none" // who made it
	ViewAll  = "all"  // everybody
)

const viewColumns = `id, agent_id, shared, position, doc`

func scanView(r Rows, v *View) error {
	return r.Scan(&v.ID, &v.AgentID, &v.Shared, &v.Position, doc(&v.ViewDetail))
}

// PutView adds a view, or replaces it but for who made it.
func (tx *Tx) PutView(ctx context.Context, v View) error {
	_, err := tx.exec(ctx, `INSERT INTO views (`+viewColumns+`) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (id) DO UPDATE SET shared = excluded.shared, position = excluded.position, doc = excluded.doc`,
		v.ID, v.AgentID, v.Shared, v.Position, toJSON(v.ViewDetail))
	return err
}

// View gives a view that is there for an agent. In a transaction that writes it
// stays as it is until the transaction ends.
func (tx *Tx) View(ctx context.Context, agentID, id string) (View, error) {
	sql := `SELECT ` + viewColumns + ` FROM views WHERE id = $1 AND (agent_id = $2 OR shared = 'all')`
	if tx.write {
		sql += tx.db.dialect.LockRow
	}
	return first(ctx, tx, "view", scanView, sql, id, agentID)
}

// Views gives all the views that are there for an agent, by position.
func (tx *Tx) Views(ctx context.Context, agentID string) ([]View, error) {
	return list(ctx, tx, scanView, `SELECT `+viewColumns+` FROM views WHERE agent_id = $1
		UNION SELECT `+viewColumns+` FROM views WHERE shared = 'all' AND shared <> 'none' ORDER BY position, id`, agentID)
}

// DeleteView removes a view.
func (tx *Tx) DeleteView(ctx context.Context, id string) error {
	return tx.touched(ctx, "view", `DELETE FROM views WHERE id = $1`, id)
}
