package store

import (
	"context"
	"time"
)

// Draft is what an agent will say later; he alone sees it. It gives its id to
// the ticket or activity that becomes of it.
type Draft struct {
	ID        string
	AgentID   string
	Ticket    int64  // that it is said in; 0: of a ticket to be made
	Doc       string // a JSON object: the body of the POST
	CreatedAt time.Time
	UpdatedAt time.Time
}

const draftColumns = `id, agent_id, ticket, doc, created_at, updated_at`

func scanDraft(r Rows, d *Draft) error {
	return r.Scan(&d.ID, &d.AgentID, &d.Ticket, &d.Doc, at(&d.CreatedAt), at(&d.UpdatedAt))
}

// PutDraft adds a draft, or replaces what it says.
func (tx *Tx) PutDraft(ctx context.Context, d Draft) error {
	_, err := tx.exec(ctx, `INSERT INTO drafts (`+draftColumns+`) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (id) DO UPDATE SET doc = excluded.doc, updated_at = excluded.updated_at`,
		d.ID, d.AgentID, d.Ticket, d.Doc, us(d.CreatedAt), us(d.UpdatedAt))
	return err
}

// Draft gives an agent's own draft. In a transaction that writes it stays as it
// is until the transaction ends.
func (tx *Tx) Draft(ctx context.Context, agentID, id string) (Draft, error) {
	sql := `SELECT ` + draftColumns + ` FROM drafts WHERE id = $1 AND agent_id = $2`
	if tx.write {
		sql += tx.db.dialect.LockRow
	}
	return first(ctx, tx, "draft", scanDraft, sql, id, agentID)
}

// ownDrafts are an agent's, but for those in tickets that he sees no more.
func (tx *Tx) ownDrafts(ctx context.Context, agentID string) (w where, err error) {
	desk, err := tx.Desk(ctx)
	if err != nil {
		return w, err
	}
	w.add(`agent_id = ?`, agentID)
	if a := desk.Agent(agentID); a == nil || a.Role != RoleAdmin {
		w.add(`(ticket = 0 OR EXISTS (SELECT 1 FROM tickets t WHERE t.number = drafts.ticket AND ` +
			w.among(tx, "t.channel_id", desk.VisibleChannels(agentID)) + `))`)
	}
	return w, nil
}

// Drafts lists an agent's drafts, the newest first, but for those in tickets that
// he sees no more.
func (tx *Tx) Drafts(ctx context.Context, agentID, from string, limit int) ([]Draft, string, error) {
	w, err := tx.ownDrafts(ctx, agentID)
	if err != nil {
		return nil, "", err
	}
	if err := w.after(from, "drafts"); err != nil {
		return nil, "", err
	}
	limit = pageSize(limit)
	rows, err := list(ctx, tx, scanDraft,
		`SELECT `+draftColumns+` FROM drafts`+w.sql()+` ORDER BY id DESC LIMIT `+w.arg(limit+1), w.args...)
	rows, next := page(rows, limit, func(d Draft) cursor { return cursor{Sort: "drafts", ID: d.ID} })
	return rows, next, err
}

// DraftCount tells how many drafts the list of an agent's holds.
func (tx *Tx) DraftCount(ctx context.Context, agentID string) (int, error) {
	w, err := tx.ownDrafts(ctx, agentID)
	if err != nil {
		return 0, err
	}
	n, err := tx.count(ctx, `SELECT COUNT(*) FROM drafts`+w.sql(), w.args...)
	return int(n), err
}

// DraftsIn gives an agent's drafts in a ticket, the oldest first.
func (tx *Tx) DraftsIn(ctx context.Context, agentID string, ticket int64) ([]Draft, error) {
	return list(ctx, tx, scanDraft, `SELECT `+draftColumns+` FROM drafts
		WHERE ticket = $1 AND ticket <> 0 AND agent_id = $2 ORDER BY id`, ticket, agentID)
}

// MoveDrafts has what agents will say in one ticket be said in another.
func (tx *Tx) MoveDrafts(ctx context.Context, from, to int64) error {
	return tx.queue(ctx, `UPDATE drafts SET ticket = $2 WHERE ticket = $1 AND ticket <> 0`, from, to)
}

// DeleteDraft removes an agent's draft; its files become unused.
func (tx *Tx) DeleteDraft(ctx context.Context, agentID, id string) error {
	err := tx.touched(ctx, "draft", `DELETE FROM drafts WHERE id = $1 AND agent_id = $2`, id, agentID)
	if err != nil {
		return err
	}
	return tx.queue(ctx, `UPDATE uploads SET draft_id = '' WHERE draft_id = $1 AND draft_id <> ''`, id)
}

// Upload is a file that an agent handed in before what it belongs to.
type Upload struct {
	ID        string
	AgentID   string
	DraftID   string // that it is kept for; "": unused
	Name      string
	Type      string
	Size      int64
	Hash      string // blob
	CreatedAt time.Time
}

const uploadColumns = `id, agent_id, draft_id, name, type, size, hash, created_at`

func scanUpload(r Rows, u *Upload) error {
	return r.Scan(&u.ID, &u.AgentID, &u.DraftID, &u.Name, &u.Type, &u.Size, &u.Hash, at(&u.CreatedAt))
}

// AddUpload adds a file; its blob is added by AddBlob.
func (tx *Tx) AddUpload(ctx context.Context, u Upload) error {
	_, err := tx.exec(ctx, `INSERT INTO uploads (`+uploadColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		u.ID, u.AgentID, u.DraftID, u.Name, u.Type, u.Size, u.Hash, us(u.CreatedAt))
	return err
}

// Upload gives an agent's own file.
func (tx *Tx) Upload(ctx context.Context, agentID, id string) (Upload, error) {
	return first(ctx, tx, "file", scanUpload,
		`SELECT `+uploadColumns+` FROM uploads WHERE id = $1 AND agent_id = $2`, id, agentID)
}

// DeleteUpload removes an agent's file from those that wait: it was used, or is
// not wanted. Its bytes stay.
func (tx *Tx) DeleteUpload(ctx context.Context, agentID, id string) error {
	return tx.touched(ctx, "file", `DELETE FROM uploads WHERE id = $1 AND agent_id = $2`, id, agentID)
}

// KeepUploads keeps an agent's files for a draft of his, and lets those go that
// it had before. One that is not there is CodeNotFound.
func (tx *Tx) KeepUploads(ctx context.Context, agentID, draftID string, ids []string) error {
	if err := tx.queue(ctx, `UPDATE uploads SET draft_id = '' WHERE draft_id = $1 AND draft_id <> ''`, draftID); err != nil {
		return err
	}
	for _, id := range ids {
		err := tx.touched(ctx, "file", `UPDATE uploads SET draft_id = $3 WHERE id = $1 AND agent_id = $2`, id, agentID, draftID)
		if err != nil {
			return err
		}
	}
	return nil
}

// PruneUploads forgets the files that were handed in before a time and that no
// draft keeps, and tells how many.
func (tx *Tx) PruneUploads(ctx context.Context, before time.Time) (int, error) {
	n, err := tx.exec(ctx, `DELETE FROM uploads WHERE draft_id = '' AND created_at < $1`, us(before))
	return int(n), err
}
