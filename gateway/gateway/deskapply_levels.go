package gateway

import (
	"context"
	"reflect"

	"ticketgate/store"
	"ticketgate/threading"
	"ticketgate/threading/calendar"
)

func (a *applier) calendars() things[CalendarEntry, store.Calendar] {
	return things[CalendarEntry, store.Calendar]{
		kind: "calendar", entries: a.file.Calendars, all: a.desk.Calendars,
		entryName: func(e *CalendarEntry) string { return e.Name },
		name:      func(c *store.Calendar) string { return c.Name },
		fresh: func(name string, _ int) store.Calendar {
			return store.Calendar{ID: store.NewID(), Name: name, Timezone: "UTC"}
		},
		fields: a.calendarFields, put: a.tx.PutCalendar,
		remove: func(ctx context.Context, c store.Calendar) error { return a.tx.DeleteCalendar(ctx, c.ID) },
	}
}

func (a *applier) calendarFields(d *difference, i int, c *store.Calendar, e *CalendarEntry) {
	setField(d, "timezone", &c.Timezone, e.Timezone)
	if e.Hours != nil && !reflect.DeepEqual(c.Hours, e.Hours) {
		d.note("hours", c.Hours, e.Hours)
		c.Hours = e.Hours
	}
	setList(d, "holidays", &c.Holidays, e.Holidays)
	if _, err := calendar.New(*c); err != nil {
		a.bad(pathOf("calendar", i, "hours"), "%v", err)
	}
}

func (a *applier) serviceLevels() things[LevelEntry, store.ServiceLevel] {
	return things[LevelEntry, store.ServiceLevel]{
		kind: "service_level", entries: a.file.Levels, all: a.desk.ServiceLevels,
		entryName: func(e *LevelEntry) string { return e.Name },
		name:      func(l *store.ServiceLevel) string { return l.Name },
		fresh:     func(name string, _ int) store.ServiceLevel { return store.ServiceLevel{ID: store.NewID(), Name: name} },
		fields:    a.levelFields, put: a.tx.PutServiceLevel,
		remove: func(ctx context.Context, l store.ServiceLevel) error { return a.tx.DeleteServiceLevel(ctx, l.ID) },
	}
}

func (a *applier) levelFields(d *difference, i int, l *store.ServiceLevel, e *LevelEntry) {
	setField(d, "respond_minutes", &l.RespondMinutes, e.RespondMinutes)
	setField(d, "resolve_minutes", &l.ResolveMinutes, e.ResolveMinutes)
	setField(d, "warn_minutes", &l.WarnMinutes, e.WarnMinutes)
	a.calendarLink(d, pathOf("service_level", i, "calendar"), &l.CalendarID, e.Calendar)
	setLink(d, "manager", &l.ManagerID, e.Manager, func(email string) string {
		if agent := a.desk.AgentByKey(keyOf(email)); agent != nil {
			return agent.ID
		}
		a.bad(pathOf("service_level", i, "manager"), "there is no agent %q", email)
		return ""
	}, a.agentName)
	if err := threading.CheckServiceLevel(a.desk, *l); err != nil {
		a.bad(pathOf("service_level", i, "respond_minutes"), "%v", err)
	}
}

// levelByName gives the id of a service level that the file names, and levelName the
// name of an id.
func (a *applier) levelByName(path string) func(name string) string {
	return func(name string) string {
		for _, l := range a.desk.ServiceLevels {
			if l.Name == name {
				return l.ID
			}
		}
		a.bad(path, "there is no service level %q", name)
		return ""
	}
}

func (a *applier) levelName(id string) string {
	if l := a.desk.ServiceLevel(id); l != nil {
		return l.Name
	}
	return ""
}

// channelTimes takes over a channel's service level and escalation, which name things
// that stand anywhere in the file.
func (a *applier) channelTimes(d *difference, i int, c *store.Channel, e *ChannelEntry) {
	setLink(d, "service_level", &c.ServiceLevelID, e.ServiceLevel, a.levelByName(pathOf("channel", i, "service_level")), a.levelName)
	if e.Escalation == nil {
		return
	}
	path := pathOf("channel", i, "escalation")
	want := store.Escalation{AfterMinutes: e.Escalation.AfterMinutes, FreeOwner: e.Escalation.FreeOwner}
	if name := e.Escalation.ToChannel; name != "" {
		to := a.desk.ChannelByName(name)
		if to == nil {
			a.bad(path, "there is no channel %q", name)
			return
		}
		want.ToChannelID = to.ID
	}
	for _, email := range e.Escalation.Notify {
		agent := a.desk.AgentByKey(keyOf(email))
		if agent == nil {
			a.bad(path, "there is no agent %q", email)
			return
		}
		want.Notify = append(want.Notify, agent.ID)
	}
	if !reflect.DeepEqual(c.Escalation, want) {
		d.note("escalation", a.escalation(c.Escalation), a.escalation(want))
		c.Escalation = want
	}
	if err := threading.CheckEscalation(a.desk, *c); err != nil {
		a.bad(path, "%v", err)
	}
}

// escalation shows an escalation by names.
func (a *applier) escalation(e store.Escalation) EscalationEntry {
	shown := EscalationEntry{AfterMinutes: e.AfterMinutes, FreeOwner: e.FreeOwner, ToChannel: a.channelName(e.ToChannelID)}
	for _, id := range e.Notify {
		shown.Notify = append(shown.Notify, a.agentName(id))
	}
	return shown
}

// ownLevels gives companies and contacts the service levels that the file names.
func (a *applier) ownLevels(ctx context.Context) error {
	for i, e := range a.file.Companies {
		d := &difference{kind: "company", name: shown(e.Name)}
		if err := a.ownLevel(ctx, d, pathOf("company", i, "service_level"), store.LevelOfCompany, a.companies[e.Name].ID, e.ServiceLevel); err != nil {
			return err
		}
	}
	for i, e := range a.file.Contacts {
		if e.ServiceLevel == nil {
			continue
		}
		c, err := a.tx.ContactByKey(ctx, keyOf(e.Emails[0]))
		if err != nil {
			return err
		}
		d := &difference{kind: "contact", name: e.Emails[0]}
		if err := a.ownLevel(ctx, d, pathOf("contact", i, "service_level"), store.LevelOfContact, c.ID, e.ServiceLevel); err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) ownLevel(ctx context.Context, d *difference, path, kind, id string, want *string) error {
	if want == nil {
		return nil
	}
	own, err := a.tx.LevelsOf(ctx, kind, id)
	if err != nil {
		return err
	}
	have := own[id]
	setLink(d, "service_level", &have, want, a.levelByName(path), a.levelName)
	return a.put(d, path, func() error { return threading.SetLevel(ctx, a.tx, kind, id, have) })
}

// calendarLink has a thing count by a calendar.
func (a *applier) calendarLink(d *difference, path string, have *string, want *string) {
	setLink(d, "calendar", have, want, func(name string) string {
		if c := a.desk.CalendarByName(name); c != nil {
			return c.ID
		}
		a.bad(path, "there is no calendar %q", name)
		return ""
	}, func(id string) string {
		if c := a.desk.Calendar(id); c != nil {
			return c.Name
		}
		return ""
	})
}
