package mqtt

import "context"

// Try connects to the broker once and leaves again, to see whether it lets us
// in. It publishes nothing and disturbs no client of the same device. Errors
// are those of [Client.Drain]: Kind Refused, Gone or BadConfig.
func Try(ctx context.Context, opt Options) error {
	// The device's own client id would throw the running daemon out.
	opt.Publisher, opt.ClientID = true, ""
	opt.Device = orElse(opt.Device, "try") // no topic is used
	c, err := New(opt, nil)
	if err != nil {
		return err
	}
	ctx, hangUp := context.WithCancel(ctx)
	defer hangUp()
	cl, _, err := c.connect(ctx, newLedger(1))
	if err != nil {
		return err
	}
	cl.Disconnect(uint(farewell.Milliseconds()))
	return nil
}
