package store

import "context"

const companyColumns = `id, name, domains, parent_id, external_id, created_at, updated_at`

func scanCompany(r Rows, c *Company) error {
	return r.Scan(&c.ID, &c.Name, doc(&c.Domains), &c.ParentID, &c.ExternalID, at(&c.CreatedAt), at(&c.UpdatedAt))
}

// Company gives a company.
func (tx *Tx) Company(ctx context.Context, id string) (Company, error) {
	return first(ctx, tx, "company", scanCompany, `SELECT `+companyColumns+` FROM companies WHERE id = $1`, id)
}

// CompaniesByID gives those of the companies that are there, by id.
func (tx *Tx) CompaniesByID(ctx context.Context, ids ...string) (map[string]Company, error) {
	found := make(map[string]Company, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	condition, args := tx.in("id", 1, ids)
	all, err := list(ctx, tx, scanCompany, `SELECT `+companyColumns+` FROM companies WHERE `+condition, args...)
	for _, c := range all {
		found[c.ID] = c
	}
	return found, err
}

// CompanyByDomain gives the company that has this very domain.
func (tx *Tx) CompanyByDomain(ctx context.Context, domain string) (Company, error) {
	return first(ctx, tx, "company", scanCompany, `SELECT `+companyColumns+` FROM companies
		WHERE id = (SELECT company_id FROM company_domains WHERE domain = $1)`, domain)
}

// CompanyNamed gives the oldest company with this very name.
func (tx *Tx) CompanyNamed(ctx context.Context, name string) (Company, error) {
	return first(ctx, tx, "company", scanCompany, `SELECT `+companyColumns+` FROM companies
		WHERE substr(name, 1, 100) = substr($1, 1, 100) AND name = $1 ORDER BY id LIMIT 1`, name)
}

// CompanyNamedOnly gives the oldest company with this very name that the outside
// knows by no id.
func (tx *Tx) CompanyNamedOnly(ctx context.Context, name string) (Company, error) {
	return first(ctx, tx, "company", scanCompany, `SELECT `+companyColumns+` FROM companies
		WHERE substr(name, 1, 100) = substr($1, 1, 100) AND name = $1 AND external_id = '' ORDER BY id LIMIT 1`, name)
}

// CompanyByExternalID gives the oldest company that the outside knows by an id.
func (tx *Tx) CompanyByExternalID(ctx context.Context, id string) (Company, error) {
	return first(ctx, tx, "company", scanCompany, `SELECT `+companyColumns+` FROM companies
		WHERE external_id = $1 AND external_id <> '' ORDER BY id LIMIT 1`, id)
}

// LockCompanies lets one transaction at a time go on that says which company
// stands above which, on all nodes, until it ends: two that cross each other
// would close a ring.
func (tx *Tx) LockCompanies(ctx context.Context) error { return tx.Serialise(ctx, "companies") }

// PutCompany adds or replaces a company and its domains. A domain that another
// company has is a conflict (ReasonDuplicate).
func (tx *Tx) PutCompany(ctx context.Context, c Company) error {
	_, err := tx.exec(ctx, `INSERT INTO companies (`+companyColumns+`, folded) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, domains = excluded.domains,
		parent_id = excluded.parent_id, external_id = excluded.external_id,
		updated_at = excluded.updated_at, folded = excluded.folded`,
		c.ID, c.Name, toJSON(c.Domains), c.ParentID, c.ExternalID, us(c.CreatedAt), us(c.UpdatedAt), companyWords(c))
	if err != nil {
		return err
	}
	if _, err := tx.exec(ctx, `DELETE FROM company_domains WHERE company_id = $1`, c.ID); err != nil {
		return err
	}
	for _, d := range c.Domains {
		_, err := tx.exec(ctx, `INSERT INTO company_domains (domain, company_id) VALUES ($1, $2)`, d, c.ID)
		if err != nil {
			return natural("domains", err)
		}
	}
	return nil
}

// companyWords is what a search in companies looks through.
func companyWords(c Company) string {
	words := c.Name + "\n" + c.ExternalID
	for _, d := range c.Domains {
		words += "\n" + d
	}
	return foldText(words)
}

// CompanyFilter chooses companies; empty fields don't.
type CompanyFilter struct {
	Query      string // a part of name, domain or external id
	ParentID   string
	ExternalID string
	Cursor     string
	Limit      int // 1 to 200; 0: 50
}

// Companies lists companies, newest first.
func (tx *Tx) Companies(ctx context.Context, f CompanyFilter) ([]Company, string, error) {
	var w where
	if f.Query != "" {
		w.add(`folded LIKE ? ESCAPE '\'`, likePart(f.Query))
	}
	if f.ParentID != "" {
		w.add(`parent_id = ?`, f.ParentID)
	}
	if f.ExternalID != "" {
		w.add(`external_id = ?`, f.ExternalID)
	}
	if err := w.after(f.Cursor, "companies"); err != nil {
		return nil, "", err
	}
	limit := pageSize(f.Limit)
	rows, err := list(ctx, tx, scanCompany,
		`SELECT `+companyColumns+` FROM companies`+w.sql()+` ORDER BY id DESC LIMIT `+w.arg(limit+1), w.args...)
	rows, next := page(rows, limit, func(c Company) cursor { return cursor{Sort: "companies", ID: c.ID} })
	return rows, next, err
}

// DeleteCompany removes a company; one that a contact, a ticket or another
// company names is a conflict (ReasonInUse).
func (tx *Tx) DeleteCompany(ctx context.Context, id string) error {
	err := tx.unused(ctx, id,
		use{"a contact", `SELECT 1 FROM contacts WHERE company_id = $1 AND company_id <> '' LIMIT 1`},
		use{"a ticket", `SELECT 1 FROM tickets WHERE company_id = $1 AND company_id <> '' LIMIT 1`},
		use{"a company", `SELECT 1 FROM companies WHERE parent_id = $1 LIMIT 1`})
	if err != nil {
		return err
	}
	for _, sql := range []string{
		`DELETE FROM company_domains WHERE company_id = $1`,
		`DELETE FROM levels_of WHERE kind = 'company' AND id = $1`,
	} {
		if _, err := tx.exec(ctx, sql, id); err != nil {
			return err
		}
	}
	return tx.touched(ctx, "company", `DELETE FROM companies WHERE id = $1`, id)
}
