package threading

import (
	"context"

	"ticketgate/store"
)

// maxAncestors is how many companies may stand above one.
const maxAncestors = 20

// CheckParent tells whether the company that c names as its parent can be that:
// it is there, and c does not stand above it. The caller holds LockCompanies.
// Error: invalid, of parent_id.
func CheckParent(ctx context.Context, tx *store.Tx, c store.Company) error {
	id := c.ParentID
	for range maxAncestors {
		if id == "" {
			return nil
		}
		if id == c.ID {
			return store.Invalid("parent_id", "a company can't stand above itself")
		}
		parent, err := tx.Company(ctx, id)
		if store.IsNotFound(err) {
			return store.Invalid("parent_id", "there is no such company")
		}
		if err != nil {
			return err
		}
		id = parent.ParentID
	}
	return store.Invalid("parent_id", "too many companies stand above one another")
}
