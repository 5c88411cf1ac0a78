package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// channelName and agentEmail name what the desk file makes, by number.
func channelName(n int) string { return fmt.Sprintf("Channel %02d", n) }
func agentEmail(n int) string  { return fmt.Sprintf("agent%03d@desk.example", n) }

// manyMarkers is how many colour markers there are.
const manyMarkers = 5

// subscribers tells which agents are in which channel: an agent in three to
// eight, most often in large ones. Agent 0 is busy, agent 1 in a few small ones.
func subscribers(p listsPlan) map[int][]int {
	r := rand.New(rand.NewPCG(p.seed, 2))
	in := map[int][]int{}
	join := func(channel, agent int) {
		if !slices.Contains(in[channel], agent) {
			in[channel] = append(in[channel], agent)
		}
	}
	for agent := range p.agents {
		for n := range 3 + r.IntN(6) {
			switch agent {
			case 0:
				join(n%p.channels, agent)
			case 1:
				join(max(p.channels-1-n*3, 0), agent)
			default:
				join(skewed(r, p.channels), agent)
			}
		}
	}
	return in
}

// furnish makes channels, agents and markers, as an admin does.
func (d *bigDesk) furnish(ctx context.Context, p listsPlan) error {
	var b strings.Builder
	for n := range manyMarkers {
		fmt.Fprintf(&b, "[[marker]]\nname = \"Marker %d\"\ncolour = \"#00000%d\"\n", n, n)
	}
	for n := range p.agents {
		fmt.Fprintf(&b, "[[agent]]\nemail = %q\nname = \"Agent %d\"\nrole = \"agent\"\n", agentEmail(n), n)
	}
	in := subscribers(p)
	for n := range p.channels {
		fmt.Fprintf(&b, "[[channel]]\nname = %q\nsubscriptions = [\n", channelName(n))
		for i, agent := range in[n] {
			fmt.Fprintf(&b, "  { agent = %q, type = %q },\n", agentEmail(agent), []string{"standard", "standard", "informal"}[i%3])
		}
		b.WriteString("]\n")
	}
	file := filepath.Join(d.dir, "desk.toml")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		return err
	}
	_, err := d.run(ctx, "apply", file)
	return err
}

// learn reads the ids of what the desk is made of, and makes tokens.
func (d *bigDesk) learn(ctx context.Context) error {
	token, err := os.ReadFile(filepath.Join(d.dir, "admin-token"))
	if err != nil {
		return err
	}
	d.tokens[asAdmin] = strings.TrimSpace(string(token))
	for n, who := range []string{asBusy, asSmall} {
		if d.tokens[who], err = d.run(ctx, "token", "create", "--agent", agentEmail(n)); err != nil {
			return err
		}
	}
	c := crowd{seen: map[string][]string{}, statuses: map[string]string{}, contacts: max(d.tickets/10, 10), companies: max(d.tickets/200, 5)}
	names := map[string]string{} // ids of channels and agents by name
	for _, of := range []string{"channels", "agents", "statuses", "markers"} {
		all, err := d.things(ctx, of)
		if err != nil {
			return err
		}
		for _, x := range all {
			switch of {
			case "statuses":
				c.statuses[x.Name] = x.ID
			case "markers":
				c.markers = append(c.markers, x.ID)
			default:
				names[x.Name+x.Email] = x.ID
			}
		}
	}
	c.order(names)
	for n := range c.channels {
		subscribed, err := d.things(ctx, "channels/"+c.channels[n]+"/subscriptions")
		if err != nil {
			return err
		}
		for _, s := range subscribed {
			c.seen[c.channels[n]] = append(c.seen[c.channels[n]], s.Agent)
		}
	}
	d.crowd = c
	return nil
}

// order fills in the channels and agents in the order of their numbers.
func (c *crowd) order(ids map[string]string) {
	for n := 0; ids[channelName(n)] != ""; n++ {
		c.channels = append(c.channels, ids[channelName(n)])
	}
	for n := 0; ids[fmt.Sprintf("Agent %d", n)+agentEmail(n)] != ""; n++ {
		c.agents = append(c.agents, ids[fmt.Sprintf("Agent %d", n)+agentEmail(n)])
	}
}

// thingOnDesk is what is read of channels, agents, statuses, markers and
// subscriptions.
type thingOnDesk struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Email string `json:"email"`
	Agent string `json:"agent_id"`
}

// things reads a whole list of the admin's.
func (d *bigDesk) things(ctx context.Context, path string) ([]thingOnDesk, error) {
	var all []thingOnDesk
	next := ""
	for page := 0; page == 0 || next != ""; page++ {
		body, err := d.get(ctx, asAdmin, "/"+path+"?limit=200&cursor="+next)
		if err != nil {
			return nil, err
		}
		var list struct {
			Items []thingOnDesk `json:"items"`
			Next  string        `json:"next"`
		}
		if err := json.Unmarshal(body, &list); err != nil {
			return nil, err
		}
		all, next = append(all, list.Items...), list.Next
	}
	return all, nil
}

// get asks the daemon as one of the people.
func (d *bigDesk) get(ctx context.Context, who, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.api+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+d.tokens[who])
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %s", path, response.Status, body)
	}
	return body, err
}
