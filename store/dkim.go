package store

import "context"

const dkimColumns = `id, domain, selector, algorithm, state, public, private, created_at, activated_at`

func scanDKIM(r Rows, k *DKIMKey) error {
	return r.Scan(&k.ID, &k.Domain, &k.Selector, &k.Algorithm, &k.State, &k.Public, &k.Private,
		at(&k.CreatedAt), at(&k.ActivatedAt))
}

// PutDKIMKey adds or replaces a key. A selector that another key of the domain
// has is a conflict (ReasonDuplicate).
func (tx *Tx) PutDKIMKey(ctx context.Context, k DKIMKey) error {
	_, err := tx.exec(ctx, `INSERT INTO dkim_keys (`+dkimColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (id) DO UPDATE SET selector = excluded.selector, state = excluded.state,
		public = excluded.public, private = excluded.private, activated_at = excluded.activated_at`,
		k.ID, k.Domain, k.Selector, k.Algorithm, k.State, k.Public, k.Private, us(k.CreatedAt), us(k.ActivatedAt))
	return natural("selector", err)
}

// DKIMKeys gives the keys of a domain, or of all for "", oldest first.
func (tx *Tx) DKIMKeys(ctx context.Context, domain string) ([]DKIMKey, error) {
	return list(ctx, tx, scanDKIM, `SELECT `+dkimColumns+` FROM dkim_keys
		WHERE $1 = '' OR domain = $1 ORDER BY id`, domain)
}

// DKIMKey gives a key.
func (tx *Tx) DKIMKey(ctx context.Context, id string) (DKIMKey, error) {
	return first(ctx, tx, "DKIM key", scanDKIM, `SELECT `+dkimColumns+` FROM dkim_keys WHERE id = $1`, id)
}

// DeleteDKIMKey removes a key.
func (tx *Tx) DeleteDKIMKey(ctx context.Context, id string) error {
	return tx.touched(ctx, "DKIM key", `DELETE FROM dkim_keys WHERE id = $1`, id)
}
