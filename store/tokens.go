package store

import (
	"context"
	"time"
)

const tokenColumns = `id, name, agent_id, hash, scopes, created_at, expires_at, last_used_at`

func scanToken(r Rows, t *Token) error {
	return r.Scan(&t.ID, &t.Name, &t.AgentID, &t.Hash, doc(&t.Scopes),
		at(&t.CreatedAt), at(&t.ExpiresAt), at(&t.LastUsedAt))
}

// PutToken adds or replaces a token.
func (tx *Tx) PutToken(ctx context.Context, t Token) error {
	_, err := tx.exec(ctx, `INSERT INTO tokens (`+tokenColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, agent_id = excluded.agent_id, hash = excluded.hash,
		scopes = excluded.scopes, expires_at = excluded.expires_at`,
		t.ID, t.Name, t.AgentID, t.Hash, toJSON(t.Scopes), us(t.CreatedAt), us(t.ExpiresAt), us(t.LastUsedAt))
	return natural("token", err)
}

// DeleteToken removes a token.
func (tx *Tx) DeleteToken(ctx context.Context, id string) error {
	t, err := tx.Token(ctx, id)
	if err != nil {
		return err
	}
	if err := tx.touched(ctx, "token", `DELETE FROM tokens WHERE id = $1`, id); err != nil {
		return err
	}
	return tx.accessEnded(ctx, t.AgentID)
}

// Tokens gives the tokens of an agent, or of all for "", oldest first.
func (tx *Tx) Tokens(ctx context.Context, agentID string) ([]Token, error) {
	return list(ctx, tx, scanToken, `SELECT `+tokenColumns+` FROM tokens
		WHERE $1 = '' OR agent_id = $1 ORDER BY id`, agentID)
}

// Token gives a token by its id.
func (tx *Tx) Token(ctx context.Context, id string) (Token, error) {
	return first(ctx, tx, "token", scanToken, `SELECT `+tokenColumns+` FROM tokens WHERE id = $1`, id)
}

// TokenByHash gives the token with this hash, expired or not.
func (tx *Tx) TokenByHash(ctx context.Context, hash string) (Token, error) {
	return first(ctx, tx, "token", scanToken, `SELECT `+tokenColumns+` FROM tokens WHERE hash = $1`, hash)
}

// TouchToken notes when a token was last used. One that is gone is no error.
func (tx *Tx) TouchToken(ctx context.Context, id string, used time.Time) error {
	return tx.queue(ctx, `UPDATE tokens SET last_used_at = $2 WHERE id = $1 AND last_used_at < $2`, id, us(used))
}
