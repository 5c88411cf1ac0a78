package threading

import (
	"slices"
	"strings"
	"time"

	"ticketgate/store"
)

// CheckNotify says what is wrong with an agent's choices, by role: invalid, with
// the field.
func CheckNotify(notify map[string]string) error {
	ways := []string{store.NotifyMail, store.NotifyDigest, store.NotifyEvent, store.NotifyNone}
	for role, way := range notify {
		known := ways
		switch role {
		case roleSubscriber:
			known = append(slices.Clone(ways), store.NotifyRelevant)
		case roleOwner, roleResponsible, roleWatcher:
		default:
			return store.Invalid("notify", "knows owner, responsible, watcher and subscriber")
		}
		if !slices.Contains(known, way) {
			return store.Invalid("notify."+role, "must be one of %s", strings.Join(known, ", "))
		}
	}
	return nil
}

// CheckTimezone says whether a time zone is known: invalid, with the field. None
// is the desk's.
func CheckTimezone(name string) error {
	if _, err := time.LoadLocation(name); err != nil || name == "Local" {
		return store.Invalid("timezone", "is none that is known, such as Europe/Berlin")
	}
	return nil
}

// CheckStatuses asks that a channel uses the statuses that it sets, and turns
// none of them into what it is not: invalid, with the field.
func CheckStatuses(desk *store.Desk, c store.Channel) error {
	for _, set := range []struct{ field, id string }{
		{"default_status_id", c.DefaultStatusID}, {"on_incoming", c.OnIncoming}, {"on_outgoing", c.OnOutgoing},
	} {
		if set.id != "" && !c.Allows(set.id) {
			return store.Invalid(set.field, "is not among the channel's statuses")
		}
	}
	for id, turn := range c.Responsibilities {
		s := desk.Status(id)
		if s == nil || s.Closed || turn != store.ResponsibleUs && turn != store.ResponsibleCustomer {
			return store.Invalid("responsibilities", "says us or customer of open statuses")
		}
	}
	return nil
}
