package threading

import (
	"context"
	"errors"
	"slices"
	"strings"

	"ticketgate/store"
)

// cardFirm is what becomes of the company that a card names.
type cardFirm struct {
	id     string          // "": it names none
	parent string          // id of the parent that the card names, or ""
	write  []store.Company // that are new or changed, parents first
}

// cardCompany finds a card's company, or makes it.
func (w *importBatch) cardCompany(ctx context.Context, c CardCompany) (firm cardFirm, reason string, err error) {
	if c.Name+c.ExternalID+c.Domain == "" {
		return firm, "", nil
	}
	before, err := w.namedCompany(ctx, c)
	if hard(err) != nil {
		return firm, "", err
	}
	company := before
	if err != nil {
		company = store.Company{ID: store.NewID(), Name: c.Name, CreatedAt: w.now}
		if company.Name == "" {
			company.Name = c.Domain
		}
	}
	if company.Name == "" {
		return firm, "there is no company with this external id", nil
	}
	if company.ExternalID == "" {
		company.ExternalID = c.ExternalID
	}
	if reason, err := w.addDomain(ctx, &company, c.Domain); err != nil || reason != "" {
		return firm, reason, err
	}
	firm.id = company.ID
	if reason, err := w.below(ctx, &company, c.Parent, &firm); err != nil || reason != "" {
		return firm, reason, err
	}
	if before.ID == "" || before.ExternalID != company.ExternalID || before.ParentID != company.ParentID || !slices.Equal(before.Domains, company.Domains) {
		company.UpdatedAt = w.now
		firm.write = append(firm.write, company)
	}
	return firm, "", nil
}

// namedCompany finds a company by external id, domain, name. Where the domain's
// company has another name, the name counts. One that the outside knows by
// another id is another company, whatever it is called. Error: not_found.
func (w *importBatch) namedCompany(ctx context.Context, c CardCompany) (store.Company, error) {
	company, err := w.tx.CompanyByExternalID(ctx, c.ExternalID)
	if err == nil || hard(err) != nil {
		return company, err
	}
	if c.Domain != "" {
		company, err = w.tx.CompanyByDomain(ctx, c.Domain)
		if hard(err) != nil || err == nil && c.maybe(company) {
			return company, err
		}
	}
	switch {
	case c.Name == "":
		return store.Company{}, store.Errorf(store.CodeNotFound, "there is no such company")
	case c.ExternalID != "":
		return w.tx.CompanyNamedOnly(ctx, c.Name)
	}
	return w.tx.CompanyNamed(ctx, c.Name)
}

// maybe tells whether neither id nor name of a card's company speak against
// another one.
func (c CardCompany) maybe(other store.Company) bool {
	sameName := c.Name == "" || strings.EqualFold(other.Name, c.Name)
	return sameName && (c.ExternalID == "" || other.ExternalID == "")
}

// addDomain gives a company a domain, unless another one has it.
func (w *importBatch) addDomain(ctx context.Context, company *store.Company, domain string) (reason string, err error) {
	if domain == "" {
		return "", nil
	}
	if company.Domains, err = w.freeDomains(ctx, *company, []string{domain}); err != nil {
		return "", err
	}
	if !slices.Contains(company.Domains, domain) {
		return "the company's domain belongs to another company", nil
	}
	return "", nil
}

// below puts a company below the one with a name, which is made if need be.
func (w *importBatch) below(ctx context.Context, company *store.Company, name string, firm *cardFirm) (reason string, err error) {
	if name == "" {
		return "", nil
	}
	parent, err := w.tx.CompanyNamed(ctx, name)
	switch {
	case hard(err) != nil:
		return "", err
	case err == nil:
		company.ParentID = parent.ID
		err := CheckParent(ctx, w.tx, *company)
		if e, ok := errors.AsType[*store.Error](err); ok && e.Code == store.CodeInvalid {
			return e.Message, nil
		}
		if err != nil {
			return "", err
		}
	case name == company.Name:
		return "a company can't stand above itself", nil
	default:
		parent = store.Company{ID: store.NewID(), Name: name, CreatedAt: w.now, UpdatedAt: w.now}
		firm.write = append(firm.write, parent)
		company.ParentID = parent.ID
	}
	if known := w.parents[company.ID]; known != "" && known != parent.ID {
		return "further up the company has another parent", nil
	}
	firm.parent = parent.ID
	return "", nil
}
