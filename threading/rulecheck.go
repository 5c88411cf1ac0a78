package threading

import (
	"fmt"
	"maps"
	"slices"

	"ticketgate/store"
	"ticketgate/threading/message"
	"ticketgate/threading/rules"
)

// Bounds of a rule.
const (
	maxRuleName    = 100
	maxRuleNote    = 10_000 // octets
	maxRuleTags    = 50
	maxRuleMinutes = 366 * 24 * 60
)

// Check says what is wrong with a rule for a desk: invalid, with the field. It
// holds the condition and its types, that all is there which the rule names, and
// that it asks for nothing that can't be done at its time. It notes on the rule which
// calendars its condition names.
func (c RuleChecker) Check(desk *store.Desk, r *store.Rule) error {
	if r.Name == "" || len(r.Name) > maxRuleName {
		return store.Invalid("name", "is required, at most %d bytes", maxRuleName)
	}
	if err := checkWhen(desk, *r); err != nil {
		return err
	}
	condition, err := c.conditions.Compile(rules.Kind(r.When), r.Condition)
	if err == nil {
		r.Calendars, err = calendarsNamed(desk, condition)
	}
	if err != nil {
		return store.Invalid("condition", "%s", faultMessage(err))
	}
	for _, check := range []func(*store.Desk, store.Rule) error{checkNamed, checkWords, checkAnswer, checkFills} {
		if err := check(desk, *r); err != nil {
			return err
		}
	}
	return nil
}

// calendarsNamed gives the ids of the calendars that a condition names, each once.
func calendarsNamed(desk *store.Desk, c *rules.Condition) ([]string, error) {
	var ids []string
	for _, named := range c.Calendars() {
		found := desk.CalendarByName(named.Name)
		if found == nil {
			return nil, &rules.Fault{Line: named.Line, Column: named.Column, Message: "there is no calendar of this name"}
		}
		if !slices.Contains(ids, found.ID) {
			ids = append(ids, found.ID)
		}
	}
	return ids, nil
}

func checkWhen(desk *store.Desk, r store.Rule) error {
	events := []store.RuleEvent{store.RuleCreated, store.RuleStatus, store.RuleIncoming, store.RuleOutgoing, store.RuleActivity}
	switch r.When {
	case store.RuleOnTime:
		if !slices.Contains(events, r.Event) {
			return store.Invalid("event", "must be created, status, incoming, outgoing or activity")
		}
		if r.AfterMinutes < 1 || r.AfterMinutes > maxRuleMinutes {
			return store.Invalid("after_minutes", "must be 1 to %d", maxRuleMinutes)
		}
		if r.CalendarID != "" && desk.Calendar(r.CalendarID) == nil {
			return store.Invalid("calendar_id", "there is no such calendar")
		}
		return nil
	case store.RuleOnIntake, store.RuleOnChange:
	default:
		return store.Invalid("when", "must be intake, change or time")
	}
	if r.Event != "" || r.AfterMinutes != 0 {
		return store.Invalid("event", "only a rule of the kind time has an event and minutes")
	}
	if r.CalendarID != "" {
		return store.Invalid("calendar_id", "only a rule of the kind time counts minutes")
	}
	return nil
}

// checkNamed wants all to be there that a rule names.
func checkNamed(desk *store.Desk, r store.Rule) error {
	a := r.Actions
	for _, named := range []struct {
		field, id string
		found     bool
	}{
		{"channel_id", a.ChannelID, desk.Channel(a.ChannelID) != nil}, {"status_id", a.StatusID, desk.Status(a.StatusID) != nil},
		{"marker_id", a.MarkerID, desk.Marker(a.MarkerID) != nil}, {"owner_id", a.OwnerID, desk.Agent(a.OwnerID) != nil},
		{"responsible_id", a.ResponsibleID, desk.Agent(a.ResponsibleID) != nil}, {"template_id", a.TemplateID, desk.Template(a.TemplateID) != nil},
		{"webhook_id", a.WebhookID, desk.Webhook(a.WebhookID) != nil},
	} {
		if named.id != "" && !named.found {
			return store.Invalid("actions."+named.field, "there is no such thing")
		}
	}
	for i, id := range a.WatcherIDs {
		if desk.Agent(id) == nil {
			return store.Invalid(fmt.Sprintf("actions.watcher_ids[%d]", i), "there is no such agent")
		}
	}
	return nil
}

func checkWords(_ *store.Desk, r store.Rule) error {
	a := r.Actions
	switch a.Priority {
	case "", store.PriorityLow, store.PriorityNormal, store.PriorityHigh, store.PriorityUrgent:
	default:
		return store.Invalid("actions.priority", "must be low, normal, high or urgent")
	}
	for field, tags := range map[string][]string{"add_tags": a.AddTags, "remove_tags": a.RemoveTags} {
		if len(tags) > maxRuleTags || !slices.Equal(cleanTags(tags), tags) && len(tags) > 0 {
			return store.Invalid("actions."+field, "must be tags of one line, each once, at most %d", maxRuleTags)
		}
	}
	switch {
	case a.FreeOwner && a.OwnerID != "":
		return store.Invalid("actions.free_owner", "and owner_id contradict each other")
	case len(a.Note) > maxRuleNote || a.Note != message.Clean(a.Note):
		return store.Invalid("actions.note", "must be text, at most %d bytes", maxRuleNote)
	case r.When != store.RuleOnIntake && a.Quarantine:
		return store.Invalid("actions.quarantine", "is for rules of the kind intake")
	case r.When != store.RuleOnIntake && a.NoAcknowledgement:
		return store.Invalid("actions.no_acknowledgement", "is for rules of the kind intake")
	}
	return nil
}

// checkAnswer holds the template of an answer to what an acknowledgement may say:
// anybody can put words on a mail, and nobody reads this one before it leaves.
func checkAnswer(desk *store.Desk, r store.Rule) error {
	t := desk.Template(r.Actions.TemplateID)
	if t == nil || CheckAcknowledgement(*t) == nil {
		return nil
	}
	return store.Invalid("actions.template_id", "the template has places that the customer's words would fill: a rule may not send it")
}

// checkFills looks at what a rule does to custom fields.
func checkFills(desk *store.Desk, r store.Rule) error {
	for _, key := range slices.Sorted(maps.Keys(r.Actions.Fields)) {
		f := desk.CustomFieldByKey(key)
		if f == nil {
			return store.Invalid("actions.fields", "there is no such custom field")
		}
		if _, err := fieldText(*f, r.Actions.Fields[key]); err != nil {
			return store.Invalid("actions.fields."+key, "is no value of the field")
		}
	}
	e := r.Actions.Extract
	if e == nil {
		return nil
	}
	f := desk.CustomFieldByKey(e.Field)
	switch {
	case r.When != store.RuleOnIntake:
		return store.Invalid("actions.extract", "is for rules of the kind intake")
	case f == nil || f.Type != store.FieldText:
		return store.Invalid("actions.extract.field", "there is no such custom field of the type text")
	case e.From != store.ExtractSubject && e.From != store.ExtractText:
		return store.Invalid("actions.extract.from", "must be subject or text")
	}
	if _, err := rules.Pattern(e.Pattern); err != nil {
		return store.Invalid("actions.extract.pattern", "%s", err.Error())
	}
	return nil
}
