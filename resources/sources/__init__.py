"""Where raw tables come from: the protocol, the choice by settings, and the sources themselves."""
