module bench-pion
