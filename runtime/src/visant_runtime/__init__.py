"""Process manners that every service shares. Importing it costs nothing.

It knows no product word, except in `device/`: what two services of a device share and the others do not need.
"""
