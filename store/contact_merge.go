package store

import (
	"context"
	"time"
)

// LockContacts lets one transaction at a time go on that ties contacts
// together, on all nodes, until it ends: of two merges that cross each other
// the second one sees what the first one did.
func (tx *Tx) LockContacts(ctx context.Context) error { return tx.Serialise(ctx, "contacts") }

// MergeContacts puts contacts into another one, which comes with all that it
// takes over: it is written as it is handed in. Their ids, and every id that
// led to them, lead there from now on; their tickets are its own. The caller
// holds LockContacts. Error: not_found for an id.
func (tx *Tx) MergeContacts(ctx context.Context, into Contact, ids ...string) error {
	for _, id := range ids {
		if id == into.ID {
			return Errorf(CodeInternal, "a contact can't go into itself")
		}
		err := tx.touched(ctx, "contact", `UPDATE contacts SET merged_into = $2, folded = ''
			WHERE (id = $1 OR merged_into = $1) AND id <> $2`, id, into.ID)
		if err != nil {
			return err
		}
		for _, sql := range []string{
			`DELETE FROM contact_emails WHERE contact_id = $1`,
			`DELETE FROM contact_phones WHERE contact_id = $1`,
			`DELETE FROM contact_lookups WHERE contact_id = $1`,
		} {
			if _, err := tx.exec(ctx, sql, id); err != nil {
				return err
			}
		}
		if err := tx.inheritLevel(ctx, id, into.ID); err != nil {
			return err
		}
	}
	if err := tx.PutContact(ctx, into); err != nil {
		return err
	}
	for _, id := range ids {
		if err := tx.MoveTickets(ctx, id, into.ID, into.CompanyID); err != nil {
			return err
		}
	}
	return nil
}

// MoveTickets gives the tickets of one contact to another one, or to the same
// one with another company.
func (tx *Tx) MoveTickets(ctx context.Context, from, to, companyID string) error {
	n, err := tx.exec(ctx, `UPDATE tickets SET contact_id = $2, company_id = $3, version = version + 1
		WHERE contact_id = $1 AND contact_id <> '' AND (contact_id <> $2 OR company_id <> $3)`, from, to, companyID)
	if err != nil || n == 0 {
		return err
	}
	desk, err := tx.Desk(ctx)
	if err != nil || len(desk.ServiceLevels) == 0 {
		return err
	}
	return tx.SetCounted(ctx, "") // they may have another service level now
}

// AddContactLookup has the outside CRM asked for a contact later. One that
// waits already keeps its time.
func (tx *Tx) AddContactLookup(ctx context.Context, l ContactLookup) error {
	return tx.queue(ctx, `INSERT INTO contact_lookups (contact_id, attempt, due_at) VALUES ($1, $2, $3)
		ON CONFLICT (contact_id) DO NOTHING`, l.ContactID, l.Attempt, us(l.DueAt))
}

// RetryContactLookup puts down the next attempt, unless another node did, or
// ended the look-ups.
func (tx *Tx) RetryContactLookup(ctx context.Context, l ContactLookup) error {
	return tx.queue(ctx, `UPDATE contact_lookups SET attempt = $2, due_at = $3 WHERE contact_id = $1 AND attempt < $2`,
		l.ContactID, l.Attempt, us(l.DueAt))
}

// DueContactLookups gives what is due by now, the most overdue first.
func (tx *Tx) DueContactLookups(ctx context.Context, now time.Time, limit int) ([]ContactLookup, error) {
	return list(ctx, tx, func(r Rows, l *ContactLookup) error { return r.Scan(&l.ContactID, &l.Attempt, at(&l.DueAt)) },
		`SELECT contact_id, attempt, due_at FROM contact_lookups WHERE due_at <= $1 ORDER BY due_at, contact_id LIMIT $2`,
		us(now), limit)
}

// DeleteContactLookup ends the look-ups of a contact. One that has none is no
// error.
func (tx *Tx) DeleteContactLookup(ctx context.Context, contactID string) error {
	return tx.queue(ctx, `DELETE FROM contact_lookups WHERE contact_id = $1`, contactID)
}

// contactIDs gives all the ids that lead where id does, id among them.
func (tx *Tx) contactIDs(ctx context.Context, id string) ([]string, error) {
	ids := []string{id}
	err := tx.query(ctx, func(r Rows) error {
		var other string
		if err := r.Scan(&other); err != nil {
			return err
		}
		if other != id {
			ids = append(ids, other)
		}
		return nil
	}, `SELECT merged_into FROM contacts WHERE id = $1 AND merged_into <> ''
		UNION SELECT id FROM contacts WHERE merged_into <> ''
			AND merged_into IN ($1, (SELECT merged_into FROM contacts WHERE id = $1))`, id)
	return ids, err
}
