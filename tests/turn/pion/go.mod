module turn-pion-server
