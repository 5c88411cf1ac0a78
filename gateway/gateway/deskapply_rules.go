package gateway

import (
	"context"
	"errors"
	"reflect"
	"slices"

	"ticketgate/store"
	"ticketgate/threading"
)

// RuleEntry is one [[rule]].
type RuleEntry struct {
	Name         string           `toml:"name"`
	Active       *bool            `toml:"active"`
	Position     *int             `toml:"position"` // the lowest looks first; the file's order where it is left out
	When         *string          `toml:"when"`     // intake, change, time
	Event        *string          `toml:"event"`
	AfterMinutes *int             `toml:"after_minutes"`
	Calendar     *string          `toml:"calendar"` // whose minutes count; "": day and night
	Condition    *string          `toml:"condition"`
	Actions      RuleActionsEntry `toml:"actions"`
	Stop         *bool            `toml:"stop"`
}

// RuleActionsEntry is what a rule of a desk file does; "" ends an action.
type RuleActionsEntry struct {
	Channel           *string           `toml:"channel"`
	Status            *string           `toml:"status"`
	Priority          *string           `toml:"priority"`
	Marker            *string           `toml:"marker"`
	Owner             *string           `toml:"owner"`
	Responsible       *string           `toml:"responsible"`
	FreeOwner         *bool             `toml:"free_owner"`
	Watchers          *[]string         `toml:"watchers"`
	AddTags           *[]string         `toml:"add_tags"`
	RemoveTags        *[]string         `toml:"remove_tags"`
	Quarantine        *bool             `toml:"quarantine"`
	NoAcknowledgement *bool             `toml:"no_acknowledgement"`
	Template          *string           `toml:"template"`
	Webhook           *string           `toml:"webhook"`
	Note              *string           `toml:"note"`
	Fields            map[string]any    `toml:"fields"`
	Extract           *RuleExtractEntry `toml:"extract"`
}

// RuleExtractEntry is where the number of another system stands.
type RuleExtractEntry struct {
	Field   string `toml:"field"`
	From    string `toml:"from"`
	Pattern string `toml:"pattern"`
}

func (a *applier) rules() things[RuleEntry, store.Rule] {
	last := 0
	for _, r := range a.desk.Rules {
		last = max(last, r.Position)
	}
	return things[RuleEntry, store.Rule]{
		kind: "rule", entries: a.file.Rules, all: a.desk.Rules,
		entryName: func(e *RuleEntry) string { return e.Name },
		name:      func(r *store.Rule) string { return r.Name },
		fresh: func(name string, i int) store.Rule {
			return store.Rule{ID: store.NewID(), Name: name, Active: true, Position: last + i + 1, When: store.RuleOnIntake}
		},
		fields: a.ruleFields, put: a.tx.PutRule,
		remove: func(ctx context.Context, r store.Rule) error { return a.tx.DeleteRule(ctx, r.ID) },
	}
}

func (a *applier) ruleFields(d *difference, i int, r *store.Rule, e *RuleEntry) {
	setField(d, "active", &r.Active, e.Active)
	setField(d, "position", &r.Position, e.Position)
	setField(d, "when", (*string)(&r.When), e.When)
	setField(d, "event", (*string)(&r.Event), e.Event)
	setField(d, "after_minutes", &r.AfterMinutes, e.AfterMinutes)
	a.calendarLink(d, pathOf("rule", i, "calendar"), &r.CalendarID, e.Calendar)
	setField(d, "condition", &r.Condition, e.Condition)
	setField(d, "stop", &r.Stop, e.Stop)
	a.ruleActions(d, i, &r.Actions, &e.Actions)
	a.checkRule(i, r)
}

func (a *applier) ruleActions(d *difference, i int, have *store.RuleActions, e *RuleActionsEntry) {
	a.ruleLink(d, i, "channel", &have.ChannelID, e.Channel, func(name string) string { return idOf(a.desk.ChannelByName(name)) }, a.channelName)
	a.ruleLink(d, i, "status", &have.StatusID, e.Status, func(name string) string {
		if s := a.desk.StatusByName(name); s != nil {
			return s.ID
		}
		return ""
	}, a.statusName)
	a.ruleLink(d, i, "marker", &have.MarkerID, e.Marker, a.markerID, a.markerName)
	a.ruleLink(d, i, "owner", &have.OwnerID, e.Owner, a.agentID, a.agentName)
	a.ruleLink(d, i, "responsible", &have.ResponsibleID, e.Responsible, a.agentID, a.agentName)
	a.ruleLink(d, i, "template", &have.TemplateID, e.Template, a.templateID, a.templateName)
	a.ruleLink(d, i, "webhook", &have.WebhookID, e.Webhook, a.webhookID, a.webhookName)
	setField(d, "priority", (*string)(&have.Priority), e.Priority)
	setField(d, "free_owner", &have.FreeOwner, e.FreeOwner)
	setField(d, "quarantine", &have.Quarantine, e.Quarantine)
	setField(d, "no_acknowledgement", &have.NoAcknowledgement, e.NoAcknowledgement)
	setField(d, "note", &have.Note, e.Note)
	setList(d, "add_tags", &have.AddTags, e.AddTags)
	setList(d, "remove_tags", &have.RemoveTags, e.RemoveTags)
	a.ruleWatchers(d, i, &have.WatcherIDs, e.Watchers)
	if fields := fieldsOf(e.Fields); fields != nil && !reflect.DeepEqual(have.Fields, fields) {
		d.note("fields", have.Fields, fields)
		have.Fields = fields
	}
	if e.Extract != nil {
		extract := store.RuleExtract(*e.Extract)
		if have.Extract == nil || *have.Extract != extract {
			d.note("extract", have.Extract, extract)
			have.Extract = &extract
		}
	}
}

// ruleLink is setLink with a complaint where nothing has the name.
func (a *applier) ruleLink(d *difference, i int, field string, have *string, want *string, find, name func(string) string) {
	setLink(d, field, have, want, func(wanted string) string {
		id := find(wanted)
		if id == "" {
			a.bad(pathOf("rule", i, "actions."+field), "there is no %s %q", field, wanted)
		}
		return id
	}, name)
}

func (a *applier) ruleWatchers(d *difference, i int, have *[]string, want *[]string) {
	if want == nil {
		return
	}
	var ids []string
	for _, email := range *want {
		id := a.agentID(email)
		if id == "" {
			a.bad(pathOf("rule", i, "actions.watchers"), "there is no agent %q", email)
			return
		}
		ids = append(ids, id)
	}
	if slices.Equal(*have, ids) {
		return
	}
	var was []string
	for _, id := range *have {
		was = append(was, a.agentName(id))
	}
	d.note("watchers", was, *want)
	*have = ids
}

// fieldsOf gives values as JSON has them: all numbers are of one kind.
func fieldsOf(values map[string]any) map[string]any {
	for key, v := range values {
		if n, ok := v.(int64); ok {
			values[key] = float64(n)
		}
	}
	return values
}

// checkRule holds a rule as the API does, and names the key that is wrong.
func (a *applier) checkRule(i int, r *store.Rule) {
	if len(a.problems) > 0 {
		return // of names that are not there
	}
	err := a.checker.Check(a.desk, r)
	if err == nil {
		return
	}
	field := "name"
	if e, ok := errors.AsType[*store.Error](err); ok {
		field, err = e.Field, errors.New(e.Message)
	}
	a.bad(pathOf("rule", i, field), "%v", err)
}

func (a *applier) applyRules(ctx context.Context) error {
	if len(a.file.Rules) == 0 {
		return nil
	}
	var err error
	if a.checker, err = threading.NewRuleChecker(); err != nil {
		return err
	}
	return a.rules().apply(ctx, a)
}

func idOf(c *store.Channel) string {
	if c == nil {
		return ""
	}
	return c.ID
}

func (a *applier) agentID(email string) string {
	if agent := a.desk.AgentByKey(keyOf(email)); agent != nil {
		return agent.ID
	}
	return ""
}

func (a *applier) webhookID(name string) string {
	for _, w := range a.desk.Webhooks {
		if w.Name == name {
			return w.ID
		}
	}
	return ""
}

func (a *applier) webhookName(id string) string {
	if w := a.desk.Webhook(id); w != nil {
		return w.Name
	}
	return ""
}

func (a *applier) templateID(name string) string {
	if t := a.desk.TemplateByName(name); t != nil {
		return t.ID
	}
	return ""
}

func (a *applier) templateName(id string) string {
	if t := a.desk.Template(id); t != nil {
		return t.Name
	}
	return ""
}

func (a *applier) markerID(name string) string {
	for _, m := range a.desk.Markers {
		if m.Name == name {
			return m.ID
		}
	}
	return ""
}

func (a *applier) markerName(id string) string {
	if m := a.desk.Marker(id); m != nil {
		return m.Name
	}
	return ""
}
