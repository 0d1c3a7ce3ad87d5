"""From the git-based version to this one on a device nobody is at: settings kept, old service back if it fails.

prepared     what runs is known and copied; nothing is changed
taking_over  the new release is here; from now on a boot goes on with this
done         the new stack had its stream
back         it had none in time, or an operator went back: the old service runs as before
"""
