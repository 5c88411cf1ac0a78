package store

import (
	"context"
	"strings"
)

const contactColumns = `id, name, phones, company_id, external_id, provisional, created_at, updated_at, synced_at`

func scanContact(r Rows, c *Contact) error {
	return r.Scan(&c.ID, &c.Name, doc(&c.Phones), &c.CompanyID, &c.ExternalID, &c.Provisional,
		at(&c.CreatedAt), at(&c.UpdatedAt), at(&c.SyncedAt))
}

// staying gives the id of the contact that a row is, or leads to.
const staying = `CASE WHEN merged_into = '' THEN id ELSE merged_into END`

// Contact gives a contact with its addresses; of one that went into another
// one, that other one.
func (tx *Tx) Contact(ctx context.Context, id string) (Contact, error) {
	return tx.contactWhere(ctx, `id = (SELECT `+staying+` FROM contacts WHERE id = $1)`, id)
}

// ContactByExternalID gives the contact that the outside CRM knows by an id, or
// the one that it went into.
func (tx *Tx) ContactByExternalID(ctx context.Context, id string) (Contact, error) {
	return tx.contactWhere(ctx, `id = (SELECT `+staying+` FROM contacts
		WHERE external_id = $1 AND external_id <> '' ORDER BY merged_into, id LIMIT 1)`, id)
}

// ContactByKey gives the contact that has the address with this comparison
// form.
func (tx *Tx) ContactByKey(ctx context.Context, key string) (Contact, error) {
	return tx.contactWhere(ctx, `id = (SELECT contact_id FROM contact_emails WHERE key = $1)`, key)
}

func (tx *Tx) contactWhere(ctx context.Context, where, arg string) (Contact, error) {
	c, err := first(ctx, tx, "contact", scanContact, `SELECT `+contactColumns+` FROM contacts WHERE `+where, arg)
	if err != nil {
		return c, err
	}
	all := []Contact{c}
	err = tx.addEmails(ctx, all)
	return all[0], err
}

// ContactsByID gives the contacts that some ids lead to, as Contact does, by the
// ids that were asked for. One that is not there is left out.
func (tx *Tx) ContactsByID(ctx context.Context, ids ...string) (map[string]Contact, error) {
	found := make(map[string]Contact, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	var leads [][2]string
	condition, args := tx.in("id", 1, ids)
	err := tx.query(ctx, func(r Rows) error {
		var id, to string
		err := r.Scan(&id, &to)
		leads = append(leads, [2]string{id, to})
		return err
	}, `SELECT id, `+staying+` FROM contacts WHERE `+condition, args...)
	if err != nil || len(leads) == 0 {
		return found, err
	}
	wanted := make([]string, 0, len(leads))
	for _, lead := range leads {
		wanted = append(wanted, lead[1])
	}
	condition, args = tx.in("id", 1, wanted)
	all, err := list(ctx, tx, scanContact, `SELECT `+contactColumns+` FROM contacts WHERE `+condition, args...)
	if err != nil {
		return found, err
	}
	if err := tx.addEmails(ctx, all); err != nil {
		return found, err
	}
	byID := make(map[string]Contact, len(all))
	for _, c := range all {
		byID[c.ID] = c
	}
	for _, lead := range leads {
		if c, ok := byID[lead[1]]; ok {
			found[lead[0]] = c
		}
	}
	return found, nil
}

// addEmails fills in the addresses.
func (tx *Tx) addEmails(ctx context.Context, contacts []Contact) error {
	if len(contacts) == 0 {
		return nil
	}
	ids := make([]string, len(contacts))
	byID := make(map[string]*Contact, len(contacts))
	for i := range contacts {
		ids[i] = contacts[i].ID
		byID[ids[i]] = &contacts[i]
	}
	condition, args := tx.in("contact_id", 1, ids)
	return tx.query(ctx, func(r Rows) error {
		var id string
		var e ContactEmail
		if err := r.Scan(&id, &e.Key, &e.Address, &e.Undeliverable); err != nil {
			return err
		}
		c := byID[id]
		c.Emails = append(c.Emails, e)
		c.Undeliverable = c.Undeliverable || e.Undeliverable
		return nil
	}, `SELECT contact_id, key, address, undeliverable FROM contact_emails
		WHERE `+condition+` ORDER BY contact_id, position`, args...)
}

// PutContact adds or replaces a contact and its addresses. An address that
// another contact has is a conflict (ReasonDuplicate).
func (tx *Tx) PutContact(ctx context.Context, c Contact) error {
	if err := tx.putContactRow(ctx, c); err != nil {
		return err
	}
	if _, err := tx.exec(ctx, `DELETE FROM contact_emails WHERE contact_id = $1`, c.ID); err != nil {
		return err
	}
	for i, e := range c.Emails {
		_, err := tx.exec(ctx, `INSERT INTO contact_emails (key, contact_id, position, address, undeliverable)
			VALUES ($1, $2, $3, $4, $5)`, e.Key, c.ID, i, e.Address, e.Undeliverable)
		if err != nil {
			return natural("emails", err)
		}
	}
	return nil
}

// ContactsNamed gives the contacts with this very name, oldest first, at most
// 200 of them.
func (tx *Tx) ContactsNamed(ctx context.Context, name string) ([]Contact, error) {
	found, err := list(ctx, tx, scanContact, `SELECT `+contactColumns+` FROM contacts
		WHERE merged_into = '' AND substr(name, 1, 100) = substr($1, 1, 100) AND name = $1 ORDER BY id LIMIT 200`, name)
	if err != nil {
		return nil, err
	}
	return found, tx.addEmails(ctx, found)
}

func (tx *Tx) putContactRow(ctx context.Context, c Contact) error {
	err := tx.queue(ctx, `INSERT INTO contacts (`+contactColumns+`, folded)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, phones = excluded.phones,
		company_id = excluded.company_id, external_id = excluded.external_id,
		provisional = excluded.provisional, updated_at = excluded.updated_at,
		synced_at = excluded.synced_at, folded = excluded.folded`,
		c.ID, c.Name, toJSON(c.Phones), c.CompanyID, c.ExternalID, c.Provisional,
		us(c.CreatedAt), us(c.UpdatedAt), us(c.SyncedAt), contactWords(c))
	if err != nil {
		return err
	}
	return tx.putPhones(ctx, c)
}

// contactWords is what a search in contacts looks through.
func contactWords(c Contact) string {
	words := []string{c.Name, c.ExternalID}
	for _, e := range c.Emails {
		words = append(words, e.Address, e.Key)
	}
	return foldText(strings.Join(append(words, c.Phones...), "\n"))
}

// EnsureContact gives the contact that has c's first address, or else adds c,
// without those of its other addresses that another contact has. Of two
// writers at once the later one gets the contact of the earlier one.
func (tx *Tx) EnsureContact(ctx context.Context, c Contact) (Contact, error) {
	if len(c.Emails) == 0 {
		return Contact{}, Errorf(CodeInternal, "a contact without an address can't be ensured")
	}
	var kept []ContactEmail
	for i, e := range c.Emails {
		n, err := tx.exec(ctx, `INSERT INTO contact_emails (key, contact_id, position, address, undeliverable)
			VALUES ($1, $2, $3, $4, $5) ON CONFLICT (key) DO NOTHING`, e.Key, c.ID, i, e.Address, e.Undeliverable)
		if err != nil {
			return Contact{}, err
		}
		if n == 0 && i == 0 {
			return tx.ContactByKey(ctx, e.Key)
		}
		if n > 0 {
			kept = append(kept, e)
		}
	}
	c.Emails = kept
	return c, tx.putContactRow(ctx, c)
}

// ContactFilter chooses contacts; empty fields don't.
type ContactFilter struct {
	Query         string // a part of name, address, phone, external id, or of its company's name or domains
	Phone         string // in any spelling, with or without the country
	CompanyID     string
	ExternalID    string
	Provisional   *bool
	Undeliverable *bool // whether mail to one of its addresses bounced for good
	Cursor        string
	Limit         int // 1 to 200; 0: 50
}

// narrow adds the conditions that look beyond a contact's own row.
func (f ContactFilter) narrow(w *where) {
	if f.Query != "" {
		part := likePart(f.Query)
		condition, args := `folded LIKE ? ESCAPE '\' OR company_id IN (SELECT id FROM companies WHERE folded LIKE ? ESCAPE '\')`, []any{part, part}
		if digits, ok := phonePart(f.Query); ok {
			condition += ` OR id IN (SELECT contact_id FROM contact_phones WHERE number LIKE ?)`
			args = append(args, "%"+digits+"%")
		}
		w.add(`(`+condition+`)`, args...)
	}
	if f.Phone != "" {
		condition, args := samePhone(PhoneKey(f.Phone))
		w.add(`id IN (SELECT contact_id FROM contact_phones WHERE `+condition+`)`, args...)
	}
	if f.Provisional != nil {
		w.add(`provisional = ?`, *f.Provisional)
	}
	if f.Undeliverable != nil {
		condition := `id IN (SELECT contact_id FROM contact_emails WHERE undeliverable)`
		if !*f.Undeliverable {
			condition = `NOT ` + condition
		}
		w.add(condition)
	}
}

// Contacts lists contacts, newest first, without those that went into another
// one; the external id of such a one finds that other one.
func (tx *Tx) Contacts(ctx context.Context, f ContactFilter) ([]Contact, string, error) {
	var w where
	w.add(`merged_into = ''`)
	f.narrow(&w)
	if f.CompanyID != "" {
		w.add(`company_id = ?`, f.CompanyID)
	}
	if f.ExternalID != "" {
		w.add(`id IN (SELECT `+staying+` FROM contacts WHERE external_id = ? AND external_id <> '')`, f.ExternalID)
	}
	if err := w.after(f.Cursor, "contacts"); err != nil {
		return nil, "", err
	}
	limit := pageSize(f.Limit)
	rows, err := list(ctx, tx, scanContact,
		`SELECT `+contactColumns+` FROM contacts`+w.sql()+` ORDER BY id DESC LIMIT `+w.arg(limit+1), w.args...)
	if err != nil {
		return nil, "", err
	}
	rows, next := page(rows, limit, func(c Contact) cursor { return cursor{Sort: "contacts", ID: c.ID} })
	return rows, next, tx.addEmails(ctx, rows)
}

// DeleteContact removes a contact, with what went into it; one that a ticket
// names is a conflict (ReasonInUse). One that itself went into another one is
// not_found.
func (tx *Tx) DeleteContact(ctx context.Context, id string) error {
	err := tx.unused(ctx, id, use{"a ticket", `SELECT 1 FROM tickets
		WHERE contact_id IN (SELECT id FROM contacts WHERE id = $1 OR merged_into = $1) AND contact_id <> '' LIMIT 1`})
	if err != nil {
		return err
	}
	if err := tx.touched(ctx, "contact", `DELETE FROM contacts WHERE id = $1 AND merged_into = ''`, id); err != nil {
		return err
	}
	for _, sql := range []string{
		`DELETE FROM contacts WHERE merged_into = $1`,
		`DELETE FROM contact_emails WHERE contact_id = $1`,
		`DELETE FROM contact_phones WHERE contact_id = $1`,
		`DELETE FROM contact_lookups WHERE contact_id = $1`,
		`UPDATE book_cards SET contact_id = '' WHERE contact_id = $1 AND contact_id <> ''`,
		`DELETE FROM levels_of WHERE kind = 'contact' AND id = $1`,
	} {
		if _, err := tx.exec(ctx, sql, id); err != nil {
			return err
		}
	}
	return nil
}

// MarkUndeliverable notes whether mail to an address comes back for good. An
// address that no contact has is no error.
func (tx *Tx) MarkUndeliverable(ctx context.Context, key string, undeliverable bool) error {
	return tx.queue(ctx, `UPDATE contact_emails SET undeliverable = $2 WHERE key = $1`, key, undeliverable)
}
