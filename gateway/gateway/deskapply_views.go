package gateway

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"ticketgate/gateway/api"
	"ticketgate/store"
)

// ViewEntry is one [[view]]: a filter of tickets that everybody has. Views that
// agents keep for themselves are no part of a file.
type ViewEntry struct {
	Name     string      `toml:"name"`
	Filter   *ViewFilter `toml:"filter"` // replaced as a whole
	Sort     *string     `toml:"sort"`
	Position *int        `toml:"position"`
}

// ViewFilter is what the list of tickets takes, by natural names.
type ViewFilter struct {
	List         string    `toml:"list"`
	Channel      string    `toml:"channel"`
	Status       string    `toml:"status"`
	Open         *bool     `toml:"open"`
	Owner        string    `toml:"owner"` // an agent's address, or none
	Responsible  string    `toml:"responsible"`
	Watcher      string    `toml:"watcher"`
	Tag          string    `toml:"tag"`
	Held         *bool     `toml:"held"`
	Contact      string    `toml:"contact"`
	Company      string    `toml:"company"`
	Kind         string    `toml:"kind"`
	Marker       string    `toml:"marker"`
	Priority     string    `toml:"priority"`
	Field        string    `toml:"field"`
	CreatedSince time.Time `toml:"created_since"`
	CreatedUntil time.Time `toml:"created_until"`
	UpdatedSince time.Time `toml:"updated_since"`
	UpdatedUntil time.Time `toml:"updated_until"`
	Query        string    `toml:"q"`
}

// checkViews holds the words of views against those that there are.
func (f *DeskFile) checkViews() {
	for i, e := range f.Views {
		f.checkName("view", i, "name", e.Name, seen(f.Views[:i], func(o ViewEntry) string { return o.Name }))
		f.word("view", i, "sort", e.Sort, sorts()...)
		if e.Filter == nil {
			continue
		}
		for field, is := range map[string]struct {
			value string
			words []string
		}{
			"filter.list":     {e.Filter.List, []string{store.ListMy, store.ListOverview}},
			"filter.kind":     {e.Filter.Kind, []string{"email", "enquiry", "internal", "form", "portal"}},
			"filter.priority": {e.Filter.Priority, []string{"low", "normal", "high", "urgent"}},
		} {
			if is.value != "" {
				f.word("view", i, field, &is.value, is.words...)
			}
		}
	}
}

// sorts are the orders of the list of tickets.
func sorts() (all []string) {
	for _, by := range []string{"number", "created_at", "updated_at", "last_incoming_at", "priority", "respond_by"} {
		all = append(all, by, "-"+by)
	}
	return all
}

// views are those that are shared; the maker of a new one is the first admin.
func (a *applier) views(ctx context.Context) (things[ViewEntry, store.View], error) {
	all, err := a.tx.Views(ctx, "")
	maker := ""
	if admin := slices.IndexFunc(a.desk.Agents, func(g store.Agent) bool { return g.Active && g.Role == store.RoleAdmin }); admin >= 0 {
		maker = a.desk.Agents[admin].ID
	}
	return things[ViewEntry, store.View]{
		kind: "view", entries: a.file.Views, all: all,
		entryName: func(e *ViewEntry) string { return e.Name },
		name:      func(v *store.View) string { return v.Name },
		fresh: func(name string, _ int) store.View {
			return store.View{
				ID: store.NewID(), AgentID: maker, Shared: store.ViewAll, ViewDetail: store.ViewDetail{Name: name, Filter: "{}", Sort: "-number"},
			}
		},
		fields: func(d *difference, i int, v *store.View, e *ViewEntry) { a.viewFields(ctx, d, i, v, e) }, put: a.tx.PutView,
		remove: func(ctx context.Context, v store.View) error { return a.tx.DeleteView(ctx, v.ID) },
	}, err
}

func (a *applier) applyViews(ctx context.Context) error {
	views, err := a.views(ctx)
	if err != nil {
		return err
	}
	return views.apply(ctx, a)
}

func (a *applier) pruneViews(ctx context.Context) error {
	views, err := a.views(ctx)
	if err != nil {
		return err
	}
	return views.prune(ctx, a)
}

func (a *applier) viewFields(ctx context.Context, d *difference, i int, v *store.View, e *ViewEntry) {
	setField(d, "sort", &v.Sort, e.Sort)
	setField(d, "position", &v.Position, e.Position)
	if e.Filter == nil {
		return
	}
	choice := a.choice(ctx, i, e.Filter)
	if err := api.CheckChoice(a.desk, choice); err != nil {
		a.bad(pathOf("view", i, "filter"), "names a custom field that is not there, or not as key:value")
	}
	want := filterText(choice)
	if have := filterText(api.ChoiceOf(*v)); have != want {
		d.note("filter", have, want)
		v.Filter = want
	}
}

// filterText is a filter as it is kept; one that says what goes without saying is
// that without it.
func filterText(choice api.TicketChoice) string {
	if choice.List == store.ListOverview {
		choice.List = ""
	}
	raw, err := json.Marshal(choice)
	if err != nil {
		return "{}" // can't be: it is made of texts and times
	}
	return string(raw)
}

// choice puts ids in the place of names.
func (a *applier) choice(ctx context.Context, i int, f *ViewFilter) api.TicketChoice {
	id := func(field, name string, find func(string) string) string {
		if name == "" {
			return ""
		}
		found := find(name)
		if found == "" {
			a.bad(pathOf("view", i, "filter."+field), "there is no %s %q", field, name)
		}
		return found
	}
	owner := store.NoOwner
	if f.Owner != store.NoOwner {
		owner = id("owner", f.Owner, a.agentID)
	}
	return api.TicketChoice{
		List: f.List, ChannelID: id("channel", f.Channel, a.channelID), StatusID: id("status", f.Status, a.statusID),
		Open: yesNo(f.Open), OwnerID: owner, ResponsibleID: id("responsible", f.Responsible, a.agentID),
		WatcherID: id("watcher", f.Watcher, a.agentID), Tag: f.Tag, Held: yesNo(f.Held),
		ContactID: id("contact", f.Contact, func(address string) string { return a.contactID(ctx, address) }),
		CompanyID: id("company", f.Company, a.companyID),
		Kind:      f.Kind, MarkerID: id("marker", f.Marker, a.markerID), Priority: f.Priority, Field: f.Field,
		CreatedSince: f.CreatedSince.UTC(), CreatedUntil: f.CreatedUntil.UTC(),
		UpdatedSince: f.UpdatedSince.UTC(), UpdatedUntil: f.UpdatedUntil.UTC(), Query: f.Query,
	}
}

func (a *applier) channelID(name string) string { return idOf(a.desk.ChannelByName(name)) }

func (a *applier) statusID(name string) string {
	if s := a.desk.StatusByName(name); s != nil {
		return s.ID
	}
	return ""
}

// contactID gives the contact of an address; that the store could not be asked is
// said by the next thing that it is asked.
func (a *applier) contactID(ctx context.Context, address string) string {
	c, err := a.tx.ContactByKey(ctx, keyOf(address))
	if err != nil {
		return ""
	}
	return c.ID
}

// yesNo is true, false, or nothing.
func yesNo(yes *bool) string {
	switch {
	case yes == nil:
		return ""
	case *yes:
		return "true"
	}
	return "false"
}
