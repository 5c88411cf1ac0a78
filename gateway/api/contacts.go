package api

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"ticketgate/store"
	"ticketgate/threading"
)

func (a *api) registerContacts() {
	find := inStore(a, (*store.Tx).Contact)
	add(a, route{id: "list-contacts", method: http.MethodGet, path: "/contacts", tag: tagDesk,
		summary: "The customers' persons"}, a.listContacts)
	add(a, route{id: "create-contact", method: http.MethodPost, path: "/contacts", tag: tagDesk,
		status: http.StatusCreated, summary: "Make a contact"}, a.createContact)
	add(a, route{id: "get-contact", method: http.MethodGet, path: "/contacts/{id}", tag: tagDesk, find: find,
		summary: "One contact"}, a.getContact)
	add(a, route{id: "patch-contact", method: http.MethodPatch, path: "/contacts/{id}", tag: tagDesk, find: find,
		summary: "Change a contact"}, a.patchContact)
	add(a, route{id: "delete-contact", method: http.MethodDelete, path: "/contacts/{id}", tag: tagAdmin, find: a.findErasable,
		summary: "Remove a contact that nothing names; with erase the person, wherever he is named"}, a.deleteContact)
	add(a, route{id: "import-contacts", method: http.MethodPost, path: "/contacts/import", tag: tagAdmin, large: true,
		media: []string{"text/csv", "text/vcard"}, status: http.StatusOK,
		summary: "Take contacts over from CSV or vCard; the same again changes nothing"}, a.importContacts)
	add(a, route{id: "export-contact", method: http.MethodGet, path: "/contacts/{id}/export", tag: tagAdmin, find: find,
		serves: "application/zip", summary: "All that is kept about a person, with mail and files"}, a.exportContact)
	add(a, route{id: "list-erasures", method: http.MethodGet, path: "/erasures", tag: tagAdmin,
		summary: "Who was erased: what was removed, when and by whom, and nothing of the person"}, a.listErasures)
	add(a, route{id: "merge-contact", method: http.MethodPost, path: "/contacts/{id}/merge", tag: tagDesk, find: find,
		status: http.StatusOK, summary: "Put this contact into another one, with its addresses and tickets"}, a.mergeContact)
}

// contactShape is a contact as clients read one.
type contactShape struct {
	ID         string   `json:"id" doc:"empty for one that only the outside CRM has: an enquiry takes it by its external_id"`
	Name       string   `json:"name"`
	Emails     []string `json:"emails"`
	Phones     []string `json:"phones"`
	CompanyID  *string  `json:"company_id"`
	ExternalID *string  `json:"external_id"`

	ServiceLevelID *string `json:"service_level_id" doc:"its own; null: its company's, or the channel's"`

	Provisional   bool      `json:"provisional" doc:"made from a mail, not yet looked at by a person"`
	Undeliverable bool      `json:"undeliverable" doc:"mail to one of the addresses bounced for good"`
	Source        string    `json:"source" enum:"desk,crm" doc:"crm: the outside CRM told of this person"`
	CreatedAt     time.Time `json:"created_at"`
	UpdatedAt     time.Time `json:"updated_at"`
}

// The sources of a contact.
const (
	sourceDesk = "desk"
	sourceCRM  = "crm"
)

func contactOf(c store.Contact) contactShape {
	s := contactShape{
		ID: c.ID, Name: c.Name, Emails: make([]string, 0, len(c.Emails)), Phones: some(c.Phones),
		CompanyID: orNull(c.CompanyID), ExternalID: orNull(c.ExternalID), Provisional: c.Provisional,
		Source: sourceDesk, CreatedAt: c.CreatedAt.UTC(), UpdatedAt: c.UpdatedAt.UTC(),
	}
	if !c.SyncedAt.IsZero() {
		s.Source = sourceCRM
	}
	for _, e := range c.Emails {
		s.Emails = append(s.Emails, e.Address)
		s.Undeliverable = s.Undeliverable || e.Undeliverable
	}
	return s
}

// contactPatchInput is the body of POST and PATCH.
type contactPatchInput struct {
	Name       opt[string]   `json:"name" maxLength:"200"`
	Emails     opt[[]string] `json:"emails" maxItems:"100" doc:"the first one is written to"`
	Phones     opt[[]string] `json:"phones" maxItems:"100"`
	CompanyID  opt[string]   `json:"company_id" maxLength:"64"`
	ExternalID opt[string]   `json:"external_id" maxLength:"200"`

	ServiceLevelID opt[string] `json:"service_level_id" maxLength:"64"`

	Provisional   opt[bool] `json:"provisional"`
	Undeliverable opt[bool] `json:"undeliverable"`
}

// apply changes a contact and says which fields it can't take.
func (in *contactPatchInput) apply(ctx context.Context, tx *store.Tx, c *store.Contact) ([]fieldError, error) {
	var errs []fieldError
	in.Name.into(&c.Name)
	in.Phones.into(&c.Phones)
	in.ExternalID.into(&c.ExternalID)
	in.Provisional.into(&c.Provisional)
	if in.Emails.Sent {
		c.Emails = emails(in.Emails.Value, c.Emails, &errs)
	}
	if in.Undeliverable.Sent {
		for i := range c.Emails {
			c.Emails[i].Undeliverable = in.Undeliverable.Value
		}
	}
	if c.Name == "" && len(c.Emails) > 0 {
		c.Name = c.Emails[0].Address
	}
	if c.Name == "" {
		errs = append(errs, fieldError{Field: "name", Message: "a contact needs a name or an address"})
	}
	if !in.CompanyID.Sent {
		return errs, nil
	}
	c.CompanyID = in.CompanyID.Value
	if c.CompanyID == "" {
		return errs, nil
	}
	_, err := tx.Company(ctx, c.CompanyID)
	if store.IsNotFound(err) {
		return append(errs, fieldError{Field: "company_id", Message: "there is no such company"}), nil
	}
	return errs, err
}

// emails reads addresses; one that was there keeps what is known of it, one
// that stands twice counts once.
func emails(typed []string, old []store.ContactEmail, errs *[]fieldError) []store.ContactEmail {
	list := make([]store.ContactEmail, 0, len(typed))
	byKey := func(key string) func(store.ContactEmail) bool {
		return func(e store.ContactEmail) bool { return e.Key == key }
	}
	for i, text := range typed {
		plain, key := address("emails["+strconv.Itoa(i)+"]", text, errs)
		if key == "" || slices.ContainsFunc(list, byKey(key)) {
			continue
		}
		e := store.ContactEmail{Address: plain, Key: key}
		if at := slices.IndexFunc(old, byKey(key)); at >= 0 {
			e.Undeliverable = old[at].Undeliverable
		}
		list = append(list, e)
	}
	return list
}

type contactQuery struct {
	Paging
	Query         string `query:"q" maxLength:"500" doc:"a part of name, address, phone, external id or company"`
	Phone         string `query:"phone" maxLength:"100" doc:"a number in any spelling, with or without its country"`
	CompanyID     string `query:"company_id" maxLength:"64"`
	ExternalID    string `query:"external_id" maxLength:"200"`
	Provisional   string `query:"provisional" enum:"true,false"`
	Undeliverable string `query:"undeliverable" enum:"true,false" doc:"whether mail to one of the addresses bounced for good"`
}

// filter is what the store is asked for.
func (in *contactQuery) filter() store.ContactFilter {
	return store.ContactFilter{
		Query: in.Query, Phone: in.Phone, CompanyID: in.CompanyID, ExternalID: in.ExternalID,
		Provisional: eitherWay(in.Provisional), Undeliverable: eitherWay(in.Undeliverable), Cursor: in.Cursor, Limit: in.Limit,
	}
}

// eitherWay reads a choice that may be left open.
func eitherWay(text string) *bool {
	if text == "" {
		return nil
	}
	yes := text == "true"
	return &yes
}

func (a *api) listContacts(ctx context.Context, _ *call, in *contactQuery) (*page[contactShape], error) {
	p, err := view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (*page[contactShape], error) {
		found, next, err := tx.Contacts(ctx, in.filter())
		if err != nil {
			return nil, err
		}
		p := mapped(found, next, contactOf)
		return p, levelled(ctx, tx, store.LevelOfContact, p.Body.Items, func(s *contactShape) (string, **string) { return s.ID, &s.ServiceLevelID })
	})
	bare := contactQuery{Paging: Paging{Limit: in.Limit}, Query: in.Query}
	if err != nil || in.Query == "" || *in != bare {
		return p, err // the CRM knows nothing of the other conditions
	}
	for _, d := range a.Desk.SearchDirectory(ctx, in.Query) {
		if len(p.Body.Items) < in.Limit {
			p.Body.Items = append(p.Body.Items, directoryContactOf(d))
		}
	}
	return p, nil
}

// directoryContactOf shows a person whom only the outside CRM has.
func directoryContactOf(d threading.DirectoryContact) contactShape {
	s := contactOf(store.Contact{Name: d.Name, Phones: d.Phones, ExternalID: d.ID, CreatedAt: d.At, UpdatedAt: d.At, SyncedAt: d.At})
	for _, e := range d.Emails {
		s.Emails = append(s.Emails, e.String())
	}
	if s.Name == "" {
		s.Name = append(slices.Clone(s.Emails), d.ID)[0]
	}
	return s
}

func (a *api) getContact(ctx context.Context, _ *call, in *OnThing) (*answer[contactShape], error) {
	c, err := view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (store.Contact, error) { return tx.Contact(ctx, in.ID) })
	if err != nil {
		return nil, err
	}
	return a.contactAnswer(ctx, c)
}

// contactAnswer shows a contact with its service level.
func (a *api) contactAnswer(ctx context.Context, c store.Contact) (*answer[contactShape], error) {
	s := contactOf(c)
	own, err := a.levels(ctx, store.LevelOfContact, c.ID)
	s.ServiceLevelID = orNull(own[c.ID])
	return &answer[contactShape]{Body: s}, err
}

type newContactInput struct {
	Body contactPatchInput
}

func (a *api) createContact(ctx context.Context, _ *call, in *newContactInput) (*created[contactShape], error) {
	c, err := a.putContact(ctx, &in.Body, func(context.Context, *store.Tx) (store.Contact, error) {
		return store.Contact{ID: store.NewID(), CreatedAt: a.Now()}, nil
	})
	if err != nil {
		return nil, err
	}
	out, err := a.contactAnswer(ctx, c)
	return &created[contactShape]{Location: Prefix + "/contacts/" + c.ID, Body: out.Body}, err
}

type contactPatch struct {
	OnThing
	Body contactPatchInput
}

func (a *api) patchContact(ctx context.Context, _ *call, in *contactPatch) (*answer[contactShape], error) {
	c, err := a.putContact(ctx, &in.Body, func(ctx context.Context, tx *store.Tx) (store.Contact, error) {
		return tx.Contact(ctx, in.ID)
	})
	if err != nil {
		return nil, err
	}
	return a.contactAnswer(ctx, c)
}

func (a *api) putContact(ctx context.Context, in *contactPatchInput, start func(context.Context, *store.Tx) (store.Contact, error)) (store.Contact, error) {
	return update(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (store.Contact, error) {
		if err := tx.LockContacts(ctx); err != nil { // a merge must not be undone by what was read before it
			return store.Contact{}, err
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
		if err := tx.PutContact(ctx, c); err != nil || !in.ServiceLevelID.Sent {
			return c, err
		}
		return c, threading.SetLevel(ctx, tx, store.LevelOfContact, c.ID, in.ServiceLevelID.Value)
	})
}

type deleteContactInput struct {
	OnThing
	Erase string `query:"erase" enum:"true,false" doc:"true: remove the person's mail, bytes and addresses everywhere; tickets stay as skeletons"`
}

func (a *api) deleteContact(ctx context.Context, c *call, in *deleteContactInput) (*nothing, error) {
	if in.Erase == "true" {
		return a.erase(ctx, c, in.ID)
	}
	return a.remove(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteContact(ctx, in.ID) })
}

type mergeContactInput struct {
	OnThing
	Body struct {
		Into string `json:"into" required:"true" minLength:"1" maxLength:"64" doc:"the contact that stays"`
	}
}

// mergeContact answers the contact that stays.
func (a *api) mergeContact(ctx context.Context, c *call, in *mergeContactInput) (*answer[contactShape], error) {
	stays, err := a.Desk.MergeContacts(ctx, c.agent, in.ID, in.Body.Into)
	return &answer[contactShape]{Body: contactOf(stays)}, err
}
