package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ticketgate/store"
	"ticketgate/threading"
	"ticketgate/threading/message"
)

func (a *api) registerCompanies() {
	find := inStore(a, (*store.Tx).Company)
	add(a, route{id: "list-companies", method: http.MethodGet, path: "/companies", tag: tagDesk,
		summary: "The customers' firms"}, a.listCompanies)
	add(a, route{id: "create-company", method: http.MethodPost, path: "/companies", tag: tagDesk,
		status: http.StatusCreated, summary: "Make a company"}, a.createCompany)
	add(a, route{id: "get-company", method: http.MethodGet, path: "/companies/{id}", tag: tagDesk, find: find,
		summary: "One company"}, a.getCompany)
	add(a, route{id: "patch-company", method: http.MethodPatch, path: "/companies/{id}", tag: tagDesk, find: find,
		summary: "Change a company"}, a.patchCompany)
	add(a, route{id: "delete-company", method: http.MethodDelete, path: "/companies/{id}", tag: tagAdmin, find: find,
		summary: "Remove a company that nothing names"}, a.deleteCompany)
}

// companyShape is a company as clients read one.
type companyShape struct {
	ID         string   `json:"id"`
	Name       string   `json:"name"`
	Domains    []string `json:"domains"`
	ParentID   *string  `json:"parent_id"`
	ExternalID *string  `json:"external_id"`

	ServiceLevelID *string `json:"service_level_id" doc:"its own; null: that of the company above it, or the channel's"`

	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

func companyOf(c store.Company) companyShape {
	return companyShape{
		ID: c.ID, Name: c.Name, Domains: some(c.Domains), ParentID: orNull(c.ParentID), ExternalID: orNull(c.ExternalID),
		CreatedAt: c.CreatedAt.UTC(), UpdatedAt: c.UpdatedAt.UTC(),
	}
}

// companyInput is the body of POST and PATCH.
type companyInput struct {
	Name       opt[string]   `json:"name" maxLength:"200"`
	Domains    opt[[]string] `json:"domains" maxItems:"200" doc:"mail from there makes a contact of this company"`
	ParentID   opt[string]   `json:"parent_id" maxLength:"64"`
	ExternalID opt[string]   `json:"external_id" maxLength:"200"`

	ServiceLevelID opt[string] `json:"service_level_id" maxLength:"64"`
}

// apply changes a company and says which fields it can't take.
func (in *companyInput) apply(ctx context.Context, tx *store.Tx, c *store.Company) ([]fieldError, error) {
	var errs []fieldError
	in.Name.must(&c.Name, "name", &errs)
	in.ExternalID.into(&c.ExternalID)
	if c.Name == "" {
		errs = append(errs, fieldError{Field: "name", Message: "is required"})
	}
	if in.Domains.Sent {
		c.Domains = domains(in.Domains.Value, &errs)
	}
	if !in.ParentID.Sent {
		return errs, nil
	}
	c.ParentID = in.ParentID.Value
	err := threading.CheckParent(ctx, tx, *c)
	if e, ok := errors.AsType[*store.Error](err); ok && e.Code == store.CodeInvalid {
		return append(errs, fieldError{Field: e.Field, Message: e.Message}), nil
	}
	return errs, err
}

// domains reads host names into lower-case A-labels.
func domains(typed []string, errs *[]fieldError) []string {
	list := make([]string, 0, len(typed))
	for i, text := range typed {
		a, err := message.ParseAddress("postmaster@" + strings.TrimSpace(text))
		if err != nil || !strings.Contains(a.Domain, ".") || strings.HasPrefix(a.Domain, "[") {
			*errs = append(*errs, fieldError{Field: "domains[" + strconv.Itoa(i) + "]", Message: "is not a domain"})
			continue
		}
		list = append(list, message.DomainKey(a.Domain))
	}
	return list
}

type companyQuery struct {
	Paging
	Query      string `query:"q" maxLength:"500" doc:"a part of name, domain or external id"`
	ParentID   string `query:"parent_id" maxLength:"64" doc:"the children of this one"`
	ExternalID string `query:"external_id" maxLength:"200"`
}

func (a *api) listCompanies(ctx context.Context, _ *call, in *companyQuery) (*page[companyShape], error) {
	return view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (*page[companyShape], error) {
		found, next, err := tx.Companies(ctx, store.CompanyFilter{
			Query: in.Query, ParentID: in.ParentID, ExternalID: in.ExternalID, Cursor: in.Cursor, Limit: in.Limit,
		})
		if err != nil {
			return nil, err
		}
		p := mapped(found, next, companyOf)
		return p, levelled(ctx, tx, store.LevelOfCompany, p.Body.Items, func(s *companyShape) (string, **string) { return s.ID, &s.ServiceLevelID })
	})
}

func (a *api) getCompany(ctx context.Context, _ *call, in *OnThing) (*answer[companyShape], error) {
	c, err := view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (store.Company, error) { return tx.Company(ctx, in.ID) })
	if err != nil {
		return nil, err
	}
	return a.companyAnswer(ctx, c)
}

// companyAnswer shows a company with its service level.
func (a *api) companyAnswer(ctx context.Context, c store.Company) (*answer[companyShape], error) {
	s := companyOf(c)
	own, err := a.levels(ctx, store.LevelOfCompany, c.ID)
	s.ServiceLevelID = orNull(own[c.ID])
	return &answer[companyShape]{Body: s}, err
}

type newCompany struct {
	Body companyInput
}

func (a *api) createCompany(ctx context.Context, _ *call, in *newCompany) (*created[companyShape], error) {
	c, err := a.putCompany(ctx, &in.Body, func(context.Context, *store.Tx) (store.Company, error) {
		return store.Company{ID: store.NewID(), CreatedAt: a.Now()}, nil
	})
	if err != nil {
		return nil, err
	}
	out, err := a.companyAnswer(ctx, c)
	return &created[companyShape]{Location: Prefix + "/companies/" + c.ID, Body: out.Body}, err
}

type companyPatch struct {
	OnThing
	Body companyInput
}

func (a *api) patchCompany(ctx context.Context, _ *call, in *companyPatch) (*answer[companyShape], error) {
	c, err := a.putCompany(ctx, &in.Body, func(ctx context.Context, tx *store.Tx) (store.Company, error) {
		return tx.Company(ctx, in.ID)
	})
	if err != nil {
		return nil, err
	}
	return a.companyAnswer(ctx, c)
}

func (a *api) putCompany(ctx context.Context, in *companyInput, start func(context.Context, *store.Tx) (store.Company, error)) (store.Company, error) {
	return update(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (store.Company, error) {
		if err := tx.LockCompanies(ctx); err != nil {
			return store.Company{}, err
		}
		c, err := start(ctx, tx)
		if err != nil {
			return c, err
		}
		errs, err := in.apply(ctx, tx, &c)
		if err != nil {
			return c, err
		}
		if err := refused(errs); err != nil {
			return c, err
		}
		c.UpdatedAt = a.Now()
		if err := tx.PutCompany(ctx, c); err != nil || !in.ServiceLevelID.Sent {
			return c, err
		}
		return c, threading.SetLevel(ctx, tx, store.LevelOfCompany, c.ID, in.ServiceLevelID.Value)
	})
}

func (a *api) deleteCompany(ctx context.Context, _ *call, in *OnThing) (*nothing, error) {
	return a.remove(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteCompany(ctx, in.ID) })
}
