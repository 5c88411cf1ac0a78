package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"ticketgate/gateway/login"
	"ticketgate/store"
	"ticketgate/threading"
)

// ApplyOptions say how a desk file is applied.
type ApplyOptions struct {
	DryRun bool // change nothing, only tell
	Prune  bool // remove what the file doesn't name
	Now    func() time.Time
	// Seal and Allow are what webhooks need: their secrets lie under the one, and
	// the other are the private networks that they may reach.
	Seal  *store.Sealer
	Allow []netip.Prefix
}

// ApplyDesk makes the desk what the file says, in one transaction, and tells
// what it changed, a line each; none means that nothing was to do. It leaves
// alone what the file doesn't name, unless Prune is set. Pruning keeps what
// mail brought in (provisional contacts), switches off what is in use where
// that can be done, and never takes the last active admin.
func ApplyDesk(ctx context.Context, db *store.DB, file *DeskFile, opt ApplyOptions) ([]string, error) {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	hashes, err := newPasswords(ctx, db, file)
	if err != nil {
		return nil, err
	}
	run := db.Update
	if opt.DryRun {
		run = db.Dry
	}
	var done *applier
	err = run(ctx, func(ctx context.Context, tx *store.Tx) error {
		done = &applier{tx: tx, file: file, opt: opt, passwords: hashes, now: opt.Now().UTC()}
		return done.run(ctx)
	})
	if err != nil {
		return nil, err
	}
	return done.lines, nil
}

// newPasswords hashes the passwords that differ from the ones that are set.
// Hashing is slow by design, so it is done before the transaction.
func newPasswords(ctx context.Context, db *store.DB, file *DeskFile) (map[string]string, error) {
	hashes := map[string]string{}
	for _, e := range file.Agents {
		if e.Password == nil {
			continue
		}
		key, current := keyOf(e.Email), ""
		err := db.View(ctx, func(ctx context.Context, tx *store.Tx) error {
			desk, err := tx.Desk(ctx)
			if err != nil {
				return err
			}
			if agent := desk.AgentByKey(key); agent != nil {
				current, err = tx.AgentPassword(ctx, agent.ID)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		if !login.PasswordMatches(current, e.password.Reveal()) {
			hashes[key] = login.HashPassword(e.password.Reveal())
		}
	}
	return hashes, nil
}

// applier is one run over a desk file.
type applier struct {
	tx        *store.Tx
	file      *DeskFile
	opt       ApplyOptions
	passwords map[string]string // new argon2id hashes, by the agent's key
	now       time.Time
	desk      *store.Desk // as this transaction sees it
	companies map[string]store.Company
	checker   threading.RuleChecker
	lines     []string
	problems  []error
}

// run applies kind after kind: what is referred to comes first.
func (a *applier) run(ctx context.Context) error {
	steps := []func(context.Context) error{
		func(ctx context.Context) error { return a.statuses().apply(ctx, a) },
		func(ctx context.Context) error { return a.markers().apply(ctx, a) },
		a.agents, a.allCompanies, a.contacts, a.channels, a.accounts,
		func(ctx context.Context) error { return a.templates().apply(ctx, a) },
		func(ctx context.Context) error { return a.customFields().apply(ctx, a) },
		func(ctx context.Context) error { return a.calendars().apply(ctx, a) },
		func(ctx context.Context) error { return a.serviceLevels().apply(ctx, a) },
		a.ownLevels,
		a.channelLinks, a.subscriptions,
		func(ctx context.Context) error { return a.webhooks().apply(ctx, a) },
		a.applyRules, a.applyViews,
	}
	if a.opt.Prune {
		steps = append(steps, a.prune)
	}
	for _, step := range steps {
		desk, err := a.tx.Desk(ctx)
		if err != nil {
			return err
		}
		a.desk = desk
		if err := step(ctx); err != nil {
			return err
		}
		if len(a.problems) > 0 {
			return errors.Join(a.problems...)
		}
	}
	if len(a.lines) == 0 {
		return nil
	}
	return a.tx.AddAudit(ctx, atShell(store.AuditApply, "/desk", a.now))
}

// bad notes what only a look at the store could find.
func (a *applier) bad(path, format string, args ...any) {
	a.problems = append(a.problems, fmt.Errorf("%s: %s", a.file.place(path), fmt.Sprintf(format, args...)))
}

// put writes a thing if its difference says so.
func (a *applier) put(d *difference, path string, write func() error) error {
	if !d.changed() || len(a.problems) > 0 {
		return nil
	}
	a.lines = append(a.lines, d.text()...)
	if err := write(); err != nil {
		return fmt.Errorf("%s: %w", a.file.place(path), err)
	}
	return nil
}

func (a *applier) agents(ctx context.Context) error {
	for i, e := range a.file.Agents {
		key := keyOf(e.Email)
		agent := store.Agent{ID: store.NewID(), Name: e.Email, Email: e.Email, Key: key, Role: store.RoleAgent, Active: true}
		have := a.desk.AgentByKey(key)
		if have != nil {
			agent = *have
		}
		d := &difference{kind: "agent", name: e.Email, added: have == nil}
		setField(d, "email", &agent.Email, &e.Email)
		setField(d, "name", &agent.Name, e.Name)
		setField(d, "role", &agent.Role, e.Role)
		setField(d, "active", &agent.Active, e.Active)
		setField(d, "timezone", &agent.Timezone, e.Timezone)
		if err := threading.CheckTimezone(agent.Timezone); err != nil {
			a.bad(pathOf("agent", i, "timezone"), "%v", err)
		}
		a.notify(d, i, &agent, e.Notify)
		if hash := a.passwords[key]; hash != "" {
			agent.Password = hash
			d.lines = append(d.lines, "password: set")
		}
		if err := a.put(d, pathOf("agent", i, "email"), func() error { return a.tx.PutAgent(ctx, agent) }); err != nil {
			return err
		}
	}
	return nil
}

// notify takes over an agent's choices, role by role.
func (a *applier) notify(d *difference, i int, agent *store.Agent, want map[string]string) {
	chosen := map[string]string{}
	for role, how := range agent.Notify {
		chosen[role] = how
	}
	for _, role := range slices.Sorted(maps.Keys(want)) {
		if how := want[role]; chosen[role] != how {
			d.note("notify."+role, chosen[role], how)
			chosen[role] = how
		}
	}
	if err := threading.CheckNotify(want); err != nil {
		a.bad(pathOf("agent", i, "notify"), "%v", err)
	}
	if len(chosen) > 0 {
		agent.Notify = chosen
	}
}
